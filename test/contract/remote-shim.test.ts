// A real shim and the forwarder of its forwards: many of them, and what becomes of them when one of
// the two goes away.

import { performance } from 'node:perf_hooks';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RemoteForwarder } from '../../src/remote/remote-forwarder.js';
import type { Shim } from '../../src/remote/shim.js';
import { Container, type TcpService, type UdpService } from '../helpers/container.js';
import { RealShim } from '../helpers/real-shim.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';

let container: Container;
let server: TcpService;
let echo: TcpService;
let udp: UdpService;
beforeAll(async () => {
  container = await Container.start();
  server = await container.tcp({ kind: 'greet', text: 'hello' });
  echo = await container.tcp({ kind: 'echo' });
  udp = await container.udp({ echo: true });
});
afterAll(() => container.stop());

const loopback = (port: number) => ({
  host: { address: '127.0.0.1', port: 0 },
  container: { port },
});

/** Why it was rejected. */
const reasonOf = (each: PromiseSettledResult<unknown>): unknown =>
  each.status === 'rejected' && each.reason;

const forwarderOf = (shim: Shim) => new RemoteForwarder(shim, { netns: container.netns });

describe('a thousand ports', () => {
  test('are opened with two requests, counted with one, and closed', async () => {
    await using real = await RealShim.start();
    const asked = vi.spyOn(real.shim, 'request');
    const forwarder = forwarderOf(real.shim);
    const forwards = await forwarder.addAll([
      { ...loopback(1), count: 999 },
      loopback(server.port),
    ]);
    expect(asked).toHaveBeenCalledTimes(2);
    const last = forwards.at(-1);
    expect(new Set(forwards.map(({ host }) => host.port)).size).toBe(1_000);
    expect(await askTcp(last?.host ?? { port: 0 })).toBe('hello');
    const each = forwards.map(async ({ id }) => (await forwarder.stats(id)).sessionsTotal);
    const [total, ...counts] = await Promise.all([forwarder.stats(), ...each]);
    expect(asked).toHaveBeenCalledTimes(3);
    expect([total.sessionsTotal, counts.at(0), counts.at(-1)]).toEqual([1, 0, 1]);
    await forwarder.remove(forwards.map(({ id }) => id));
    expect(forwarder.list()).toEqual([]);
    expect(await isRefused(last?.host ?? { port: 0 })).toBe(true);
  });
});

test('a thousand sessions are listed, each with its client', async () => {
  await using real = await RealShim.start();
  const forwarder = forwarderOf(real.shim);
  const { host } = await forwarder.add({ ...loopback(udp.port), protocol: 'udp' });
  const clients = await Promise.all(Array.from({ length: 1_000 }, () => UdpSocket.bind()));
  for (const client of clients) await client.send('x', host.port);
  const sessions = await until(async () => {
    const all = await forwarder.sessions();
    return all.length === clients.length && all;
  }, 'all sessions');
  expect(new Set(sessions.map(({ client }) => client.port))).toEqual(
    new Set(clients.map(({ port }) => port)),
  );
  for (const client of clients) client[Symbol.dispose]();
});

test('a socket of this process cannot be forwarded by another one', async () => {
  await using real = await RealShim.start();
  const spec = { host: { fd: 0 }, container: { port: 80 } };
  await expect(forwarderOf(real.shim).add(spec)).rejects.toMatchObject({
    code: 'ERR_SPLICEPORT_UNSUITABLE_SOCKET',
    message: 'Descriptor 0 is one of this process, and another process has the ports',
  });
});

describe('a shim that is stopped', () => {
  test('is given up after ten seconds and holds up nobody else; what was asked is undone', async () => {
    await using stopped = await RealShim.start();
    await using real = await RealShim.start();
    const [forwarder, other] = [forwarderOf(stopped.shim), forwarderOf(real.shim)];
    const { id } = await forwarder.add(loopback(server.port));
    stopped.signal('SIGSTOP');
    const begin = performance.now();
    const added = forwarder.add(loopback(server.port));
    const counted = forwarder.stats(id);
    const outcomes = Promise.allSettled([added, counted]);
    expect(await askTcp((await other.add(loopback(server.port))).host)).toBe('hello');
    expect(performance.now() - begin).toBeLessThan(5_000);
    const reasons = (await outcomes).map(reasonOf);
    expect(performance.now() - begin).toBeGreaterThan(9_500);
    expect(reasons).toMatchObject([{ code: 'ETIMEDOUT' }, { code: 'ETIMEDOUT' }]);
    expect(forwarder.list().map((forward) => forward.id)).toEqual([id]);
    stopped.signal('SIGCONT');
    await forwarder.retarget(id, { port: echo.port });
    expect(forwarder.list().map((forward) => forward.id)).toEqual([id]);
    const client = await connectTcp(forwarder.get(id)?.host ?? { port: 0 });
    client.write('again');
    expect(await nextText(client)).toBe('again');
    client.destroy();
  });
});

describe('a shim that is killed', () => {
  test('rejects what it was asked at once, and closes its forwarder', async () => {
    const told: string[] = [];
    await using real = await RealShim.start({ onEnd: () => told.push('end') });
    const forwarder = forwarderOf(real.shim);
    const { id } = await forwarder.add(loopback(server.port));
    forwarder.on('removed', () => void told.push('removed'));
    real.signal('SIGSTOP');
    const asked = vi.spyOn(real.shim, 'request');
    const outcomes = Promise.allSettled([
      forwarder.add(loopback(server.port)),
      forwarder.stats(id),
      forwarder.remove(id, { drainMs: 60_000 }),
    ]);
    await until(() => asked.mock.calls.length === 2, 'requests');
    const begin = performance.now();
    real.signal('SIGKILL');
    const reasons = (await outcomes).map(reasonOf);
    expect(performance.now() - begin).toBeLessThan(2_000);
    expect(reasons).toMatchObject([
      { code: 'ECONNRESET' },
      { code: 'ECONNRESET' },
      { code: 'ECONNRESET' },
    ]);
    expect([forwarder.closed, forwarder.list(), told]).toEqual([true, [], ['end']]);
    await expect(forwarder.add(loopback(1))).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_CLOSED',
    });
    expect((await forwarder.stats()).sessionsOpen).toBe(0);
    await forwarder.close();
  });
});

describe('a shim that comes to another resident', () => {
  test('has its forwards, its sessions and its counters', async () => {
    await using real = await RealShim.start();
    const first = forwarderOf(real.shim);
    const forwards = await first.addAll([
      { ...loopback(echo.port), deny: ['192.0.2.1'] },
      { ...loopback(udp.port), protocol: 'udp', netns: 'own' },
      `0:${server.port}`,
    ]);
    const [kept, , dual] = forwards;
    const client = await connectTcp(kept?.host ?? { port: 0 });
    client.write('one');
    await nextText(client);

    const second = forwarderOf(await real.meetAgain());
    expect(second.list()).toEqual(forwards);
    expect((await second.stats(kept?.id)).sessionsOpen).toBe(1);
    client.write('two');
    expect(await nextText(client)).toBe('two');
    await second.retarget(dual?.id ?? 0, { port: echo.port });
    const again = { host: { port: dual?.host.port ?? 0 }, container: { port: 1 } };
    await expect(second.add(again)).rejects.toMatchObject({
      ...{ code: 'ERR_SPLICEPORT_ALREADY_FORWARDED', forwardId: dual?.id },
    });
    expect((await second.add(loopback(server.port))).id).toBe(4);
    client.destroy();
    await second.close();
    expect((await second.stats()).sessionsTotal).toBe(1);
  });

  test('says of forwards that drain when they are gone', async () => {
    await using real = await RealShim.start();
    const first = forwarderOf(real.shim);
    const { id, host } = await first.add(loopback(echo.port));
    const client = await connectTcp(host);
    client.write('one');
    await nextText(client);
    void first.remove(id, { drainMs: 60_000 }).catch(() => undefined);
    await until(() => isRefused(host), 'the port to be free');

    const second = forwarderOf(await real.meetAgain());
    expect(second.list()).toEqual([]);
    let isGone = false;
    const gone = second.remove(id).then(() => (isGone = true));
    expect((await second.stats(id)).sessionsOpen).toBe(1);
    expect(isGone).toBe(false);
    client.destroy();
    await gone;
    await expect(second.stats(id)).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_NO_SUCH_FORWARD',
    });
  });

  test('has an engine even if it has never had a forward', async () => {
    await using real = await RealShim.start();
    const first = forwarderOf(real.shim);
    const missing = { ...loopback(1), netns: { path: '/proc/0/ns/net' } };
    await expect(first.add(missing)).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_NETNS_GONE',
    });
    const second = forwarderOf(await real.meetAgain());
    expect(await askTcp((await second.add(loopback(server.port))).host)).toBe('hello');
  });
});
