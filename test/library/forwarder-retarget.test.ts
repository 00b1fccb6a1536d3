import { mkdtempSync, readlinkSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder, type Forward } from '../../src/index.js';
import { Container, type TcpService } from '../helpers/container.js';
import { describeFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, nextText, textToEnd } from '../helpers/tcp-client.js';

let first: Container;
let second: Container;
let echo: TcpService;
let one: TcpService;
let two: TcpService;

beforeAll(async () => {
  [first, second] = await Promise.all([Container.start(), Container.start()]);
  echo = await first.tcp({ kind: 'echo' });
  one = await first.tcp({ kind: 'greet', text: 'one' });
  two = await second.tcp({ kind: 'greet', text: 'two' });
});
afterAll(() => Promise.all([first.stop(), second.stop()]));

function toPort(port: number) {
  return { host: { address: '127.0.0.1', port: 0 }, container: { port } };
}

/** Whether this process holds the container's namespace open. */
function holds({ pid }: Container): boolean {
  return describeFds().includes(readlinkSync(`/proc/${pid}/ns/net`));
}

describe('retarget', () => {
  test('sends new clients to the new target and leaves live sessions with the old', async () => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const before = await forwarder.add(toPort(echo.port));
    const live = await connectTcp(before.host);
    live.write('before');
    expect(await nextText(live)).toBe('before');

    await forwarder.retarget(before.id, { port: one.port });
    const after = forwarder.get(before.id);
    expect(after).toEqual({ ...before, container: { address: '127.0.0.1', port: one.port } });
    expect(after).toSatisfy(Object.isFrozen);
    expect(before.container.port).toBe(echo.port);
    expect(await askTcp(before.host)).toBe('one');
    live.end('after');
    expect(await textToEnd(live)).toBe('after');
  });

  test('is in force as soon as the call has been made', async () => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const { id } = await forwarder.add(toPort(echo.port));
    const done = forwarder.retarget(id, { port: one.port });
    expect(forwarder.get(id)?.container.port).toBe(one.port);
    await done;
  });

  test('moves forwards to another container and closes the old one’s namespace', async () => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const forwards = await forwarder.addAll([toPort(one.port), toPort(one.port)]);
    const ids = forwards.map(({ id }) => id);
    expect([holds(first), holds(second)]).toEqual([true, false]);
    await forwarder.retarget(ids, { netns: second.netns, port: two.port });
    for (const { id, host } of forwards) {
      expect(await askTcp(host)).toBe('two');
      expect(forwarder.get(id)?.netnsPath).toBe(`/proc/${second.pid}/ns/net`);
    }
    expect([holds(first), holds(second)]).toEqual([false, true]);
  });

  test('reaches the namespace that was opened, even if its path is gone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spliceport-'));
    const path = join(folder, 'netns');
    symlinkSync(`/proc/${first.pid}/ns/net`, path);
    try {
      await using forwarder = new Forwarder({ netns: { path } });
      const { id, host } = await forwarder.add(toPort(echo.port));
      unlinkSync(path);
      await forwarder.retarget(id, { port: one.port });
      expect(await askTcp(host)).toBe('one');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const failures: readonly (readonly [string, object, string])[] = [
    ['a missing namespace', { netns: { path: '/run/no-such-netns' } }, 'ERR_SPLICEPORT_NETNS_GONE'],
    ['a file that is no namespace', { netns: { path: '/etc/hostname' } }, 'EINVAL'],
    ['a bad address', { address: 'web' }, 'ERR_SPLICEPORT_OUT_OF_RANGE'],
  ];
  test.each(failures)('changes nothing after %s', async (_what, change, code) => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const forward: Forward = await forwarder.add(toPort(one.port));
    const held = describeFds();
    await expect(forwarder.retarget(forward.id, change)).rejects.toMatchObject({ code });
    expect(describeFds()).toEqual(held);
    expect(forwarder.get(forward.id)).toBe(forward);
    expect(await askTcp(forward.host)).toBe('one');
  });

  test('changes none if one of the forwards is unknown or being removed', async () => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const forwards = await forwarder.addAll([toPort(one.port), toPort(one.port)]);
    const [kept, removed] = forwards.map(({ id }) => id) as [number, number];
    const removal = forwarder.remove(removed);
    for (const unknown of [removed, 99]) {
      await expect(forwarder.retarget([kept, unknown], { port: 1 })).rejects.toMatchObject({
        code: 'ERR_SPLICEPORT_NO_SUCH_FORWARD',
        forwardId: unknown,
      });
    }
    await removal;
    expect(forwarder.list()).toEqual([forwards[0]]);
  });
});
