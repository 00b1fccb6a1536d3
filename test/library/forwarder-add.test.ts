import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { Forwarder, SpliceportSystemError, type ForwardSpec } from '../../src/index.js';
import type { TcpService } from '../helpers/container.js';
import { describeFds, openFds } from '../helpers/process-facts.js';
import { askTcp, isRefused } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';

const fixture = useContainer();
let server: TcpService;

beforeAll(async () => {
  server = await fixture.container.tcp({ kind: 'greet', text: 'hello' });
});

function loopback(port = 0, more: Partial<ForwardSpec> = {}): ForwardSpec {
  return { host: { address: '127.0.0.1', port }, container: { port: server.port }, ...more };
}

/** A port of the host that something else has, and one that is free. */
async function portsTakenAndFree() {
  const [taken, free] = [
    createServer().listen(0, '127.0.0.1'),
    createServer().listen(0, '127.0.0.1'),
  ];
  await Promise.all([once(taken, 'listening'), once(free, 'listening')]);
  const ports = {
    taken: (taken.address() as AddressInfo).port,
    free: (free.address() as AddressInfo).port,
  };
  free.close();
  await once(free, 'close');
  return { ...ports, [Symbol.dispose]: () => taken.close() };
}

describe('add', () => {
  test('forwards a port that the kernel chose, and returns it', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(loopback());
    expect(forward).toEqual({
      id: 1,
      protocol: 'tcp',
      host: { address: '127.0.0.1', port: expect.any(Number) as number, dualStack: false },
      container: { address: '127.0.0.1', port: server.port },
      netnsPath: `/proc/${fixture.container.pid}/ns/net`,
      sourceAddress: 'container',
    });
    expect(forward.host.port).toBeGreaterThan(0);
    expect(await askTcp(forward.host)).toBe('hello');
  });

  test('accepts text, and serves both families if no address is given', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(`0:${server.port}`);
    expect(host).toMatchObject({ address: '::', dualStack: true });
    expect(await askTcp({ address: '127.0.0.1', port: host.port })).toBe('hello');
    expect(await askTcp({ address: '::1', port: host.port })).toBe('hello');
  });

  test.each([
    ['0.0.0.0', '127.0.0.1', '::1'],
    ['::', '::1', '127.0.0.1'],
  ])('serves one family on %s', async (address, served, refused) => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add({ ...loopback(), host: { address, port: 0 } });
    expect(host).toMatchObject({ address, dualStack: false });
    expect(await askTcp({ address: served, port: host.port })).toBe('hello');
    expect(await isRefused({ address: refused, port: host.port })).toBe(true);
  });

  test('returns snapshots that cannot be changed', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(loopback());
    for (const part of [forward, forward.host, forward.container]) {
      expect(part).toSatisfy(Object.isFrozen);
    }
    expect(forwarder.get(forward.id)).toBe(forward);
    expect(forwarder.list()).toEqual([forward]);
    expect(forwarder.get(99)).toBeUndefined();
  });

  test('reports a port in use with the exact error, the side, and the stack of the call', async () => {
    using ports = await portsTakenAndFree();
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const error: unknown = await forwarder
      .add(loopback(ports.taken))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SpliceportSystemError);
    expect(error).toMatchObject({
      code: 'EADDRINUSE',
      syscall: expect.stringMatching(/^(bind|listen)$/) as string,
      side: 'host',
      protocol: 'tcp',
      address: '127.0.0.1',
      port: ports.taken,
      hint: expect.stringContaining(`sport = :${ports.taken}`) as string,
    });
    expect((error as Error).message).toMatch(
      new RegExp(`^\\w+ EADDRINUSE: address already in use 127\\.0\\.0\\.1:${ports.taken}$`),
    );
    expect((error as Error).stack).toContain('forwarder-add.test.ts');
  });

  test('fails with EADDRNOTAVAIL for an address that the host does not have', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    for (const address of ['192.0.2.1', '2001:db8::1']) {
      await expect(
        forwarder.add({ ...loopback(), host: { address, port: 0 } }),
      ).rejects.toMatchObject({
        code: 'EADDRNOTAVAIL',
        side: 'host',
        address,
      });
    }
  });

  test('frees the port again if the namespace is missing', async () => {
    using ports = await portsTakenAndFree();
    await using forwarder = new Forwarder({ netns: { path: '/run/no-such-netns' } });
    await expect(forwarder.add(loopback(ports.free))).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_NETNS_GONE',
    });
    expect(await isRefused({ port: ports.free })).toBe(true);
  });

  test('reports a file that is not a namespace with the failed call and the side', async () => {
    await using forwarder = new Forwarder();
    for (const path of ['/etc/hostname', '/proc/self/ns/uts']) {
      await expect(forwarder.add(loopback(0, { netns: { path } }))).rejects.toMatchObject({
        code: 'EINVAL',
        syscall: 'setns',
        side: 'container',
        path,
        hint: expect.stringContaining('not a network namespace') as string,
      });
    }
  });

  test('names the forward that has the same port already', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    await forwarder.add(loopback());
    const { id, host } = await forwarder.add(loopback());
    await expect(forwarder.add(loopback(host.port))).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_ALREADY_FORWARDED',
      forwardId: id,
      message: `Forward 2 has tcp 127.0.0.1:${host.port} already`,
    });
    await forwarder.add(loopback(host.port, { protocol: 'udp' }));
    const removed = forwarder.remove(id);
    await forwarder.add(loopback(host.port));
    await removed;
    expect(forwarder.list().map((forward) => forward.id)).toEqual([1, 3, 4]);
  });
});

describe('addAll', () => {
  test('forwards ranges, in order', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forwards = await forwarder.addAll([`0:${server.port}-${server.port + 2}`, loopback()]);
    expect(forwards.map(({ id, container: { port } }) => [id, port - server.port])).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 0],
    ]);
    expect(new Set(forwards.map(({ host }) => host.port)).size).toBe(4);
    expect(forwarder.list()).toEqual(forwards);
    expect(await forwarder.addAll([])).toEqual([]);
    expect((await forwarder.add(loopback())).id).toBe(5);
  });

  test.each([
    ['a taken port', (taken: number) => loopback(taken), 'EADDRINUSE'],
    [
      'a missing namespace',
      () => loopback(0, { netns: { pid: 2 ** 31 - 1 } }),
      'ERR_SPLICEPORT_NETNS_GONE',
    ],
    ['a bad specification', () => 'bad', 'ERR_SPLICEPORT_INVALID_PORT_SPEC'],
  ])('leaves nothing behind after %s', async (_what, bad, code) => {
    using ports = await portsTakenAndFree();
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const before = describeFds();
    const specs = [loopback(ports.free), loopback(), bad(ports.taken)];
    await expect(forwarder.addAll(specs)).rejects.toMatchObject({ code });
    expect(describeFds()).toEqual(before);
    expect(await isRefused({ port: ports.free })).toBe(true);
    expect(forwarder.list()).toEqual([]);
    expect((await forwarder.add(loopback(ports.free))).id).toBe(1);
  });

  test('names the first of two forwards of one call that have the same port', async () => {
    using ports = await portsTakenAndFree();
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const specs = [loopback(), loopback(ports.free), loopback(ports.free)];
    await expect(forwarder.addAll(specs)).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_ALREADY_FORWARDED',
      forwardId: 2,
    });
  });

  test('opens a namespace once for all its forwards, and closes it with the last', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const before = openFds();
    const netnsFds = () => describeFds().filter((name) => name.startsWith('net:')).length;
    const forwards = await forwarder.addAll([`0:1-50`]);
    expect(netnsFds()).toBeLessThanOrEqual(2); // This one, and perhaps the engine's own.
    await forwarder.remove(forwards.map(({ id }) => id));
    expect(netnsFds()).toBe(0);
    expect(openFds()).toBe(before);
  });
});
