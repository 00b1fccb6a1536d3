import { beforeAll, describe, expect, test } from 'vitest';
import { CONNECT_LATENCY_BUCKETS_MICROS, Forwarder, type Forward } from '../../src/index.js';
import type { TcpService } from '../helpers/container.js';
import { openFds, threadNames } from '../helpers/process-facts.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';
import { until, within } from '../helpers/wait.js';

const LONG_MS = 60_000;
const SHORT_MS = 100;

const fixture = useContainer();
let echo: TcpService;

beforeAll(async () => {
  echo = await fixture.container.tcp({ kind: 'echo' });
});

function toEcho(port = 0) {
  return { host: { address: '127.0.0.1', port }, container: { port: echo.port } };
}

async function liveSession({ host }: Forward) {
  const socket = await connectTcp(host);
  socket.write('hello');
  expect(await nextText(socket)).toBe('hello');
  return socket;
}

const engineThreads = () => threadNames().filter((name) => name.startsWith('spliceport')).length;

describe('remove', () => {
  test('frees the port as soon as the call has been made', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    await using other = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add(toEcho());
    const removed = forwarder.remove(id);
    const again = other.add(toEcho(host.port));
    await expect(again).resolves.toMatchObject({ host: { port: host.port } });
    await removed;
    expect(forwarder.list()).toEqual([]);
    expect(forwarder.get(id)).toBeUndefined();
  });

  test('ends live sessions at once', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const socket = await liveSession(forward);
    const ending = endingOf(socket);
    await within(forwarder.remove(forward.id), 'the removal');
    expect(forwarder.sessions()).toEqual([]);
    await ending;
  });

  test('lets live sessions drain, and is fulfilled when the last one ends', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const socket = await liveSession(forward);
    let gone = false;
    const removed = forwarder.remove(forward.id, { drainMs: LONG_MS }).then(() => (gone = true));
    expect(await isRefused(forward.host)).toBe(true);
    socket.write('still here');
    expect(await nextText(socket)).toBe('still here');
    expect(forwarder.stats(forward.id).sessionsOpen).toBe(1);
    expect([forwarder.get(forward.id), forwarder.list(), gone]).toEqual([undefined, [], false]);
    const joined = forwarder.remove(forward.id);
    socket.end();
    await within(Promise.all([removed, joined]), 'the end of the drain');
    expect(() => forwarder.stats(forward.id)).toThrow(
      expect.objectContaining({ code: 'ERR_SPLICEPORT_NO_SUCH_FORWARD' }),
    );
  });

  test('cuts sessions that have not drained in time', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const ending = endingOf(await liveSession(forward));
    const start = performance.now();
    await within(forwarder.remove(forward.id, { drainMs: SHORT_MS }), 'the end of the drain');
    expect(performance.now() - start).toBeGreaterThan(SHORT_MS * 0.9);
    await ending;
  });

  test('removes none if one is unknown', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id } = await forwarder.add(toEcho());
    await expect(forwarder.remove([id, 2])).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_NO_SUCH_FORWARD',
      forwardId: 2,
    });
    expect(forwarder.list()).toHaveLength(1);
  });

  test('never uses an id again', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    await forwarder.remove((await forwarder.add(toEcho())).id);
    expect((await forwarder.add(toEcho())).id).toBe(2);
  });
});

describe('close', () => {
  test('frees ports at once, ends the threads, and may be called again', async () => {
    const [fds, threads] = [openFds(), engineThreads()];
    const forwarder = new Forwarder({ netns: fixture.container.netns, workers: 2 });
    // A thread names itself.
    await until(() => engineThreads() === threads + 2, 'two threads run');
    const forward = await forwarder.add(toEcho());
    const ending = endingOf(await liveSession(forward));
    const closed = forwarder.close();
    expect([forwarder.closed, forwarder.list()]).toEqual([true, []]);
    expect(await isRefused(forward.host)).toBe(true);
    await closed;
    await forwarder.close();
    await ending;
    expect(engineThreads()).toBe(threads);
    await until(() => openFds() <= fds, 'every descriptor is closed');
  });

  test('fulfills removals that were waiting', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const socket = await liveSession(forward);
    const removed = forwarder.remove(forward.id, { drainMs: LONG_MS });
    await forwarder.close();
    await within(removed, 'the removal');
    socket.destroy();
  });

  test('lets sessions drain for the given time', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const socket = await liveSession(forward);
    const closed = forwarder.close({ drainMs: LONG_MS });
    expect(await isRefused(forward.host)).toBe(true);
    socket.write('still here');
    expect(await nextText(socket)).toBe('still here');
    await expect(forwarder.add(toEcho())).rejects.toMatchObject({ code: 'ERR_SPLICEPORT_CLOSED' });
    socket.end();
    await within(closed, 'the end of the drain');
  });

  test('limits removals with a longer drain time to that time too', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const ending = endingOf(await liveSession(forward));
    const removed = forwarder.remove(forward.id, { drainMs: LONG_MS });
    await within(forwarder.close({ drainMs: SHORT_MS }), 'the close');
    await Promise.all([removed, ending]);
  });

  test('ends the drain if it is called again without a drain time', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const ending = endingOf(await liveSession(await forwarder.add(toEcho())));
    const first = forwarder.close({ drainMs: LONG_MS });
    await forwarder.close();
    await within(Promise.all([first, ending]), 'the first close');
  });

  test('leaves only the totals to be read', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    expect(await askTcp(forward.host, 'hello')).toBe('hello');
    await liveSession(forward);
    await forwarder.close();
    expect(forwarder.stats()).toMatchObject({ sessionsTotal: 2, sessionsOpen: 0, bytesToHost: 10 });
    expect([forwarder.sessions(), forwarder.get(forward.id)]).toEqual([[], undefined]);
    forwarder.ref().unref();
    for (const call of [
      () => forwarder.add(toEcho()),
      () => forwarder.addAll([]),
      () => forwarder.remove(forward.id),
      () => forwarder.retarget(forward.id, {}),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_SPLICEPORT_CLOSED' });
    }
  });
});

describe('an AbortSignal', () => {
  test('closes the forwarder at once, and its reason is the cause of later errors', async () => {
    const controller = new AbortController();
    const forwarder = new Forwarder({ netns: fixture.container.netns, signal: controller.signal });
    const { host } = await forwarder.add(toEcho());
    controller.abort(new Error('shutting down'));
    expect(forwarder.closed).toBe(true);
    expect(await isRefused(host)).toBe(true);
    await expect(forwarder.add(toEcho())).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_CLOSED',
      cause: expect.objectContaining({ message: 'shutting down' }) as Error,
    });
  });

  test('that was aborted before leaves no thread', () => {
    const threads = engineThreads();
    const forwarder = new Forwarder({ signal: AbortSignal.abort() });
    expect([forwarder.closed, engineThreads()]).toEqual([true, threads]);
  });
});

describe('stats and sessions', () => {
  test('count from zero, for the forwarder and for each forward', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const [used, unused] = await forwarder.addAll([toEcho(), toEcho()]);
    if (used === undefined || unused === undefined) throw new Error('two forwards');
    expect(await askTcp(used.host, 'hello')).toBe('hello');
    const expected = { sessionsTotal: 1, bytesToContainer: 5, bytesToHost: 5, connectFailures: 0 };
    const stats = await until(
      () => [forwarder.stats()].find(({ sessionsOpen }) => sessionsOpen === 0),
      'the session is over',
    );
    expect(stats).toMatchObject(expected);
    expect(stats).toSatisfy(Object.isFrozen);
    expect(stats.connectLatency).toHaveLength(CONNECT_LATENCY_BUCKETS_MICROS.length + 1);
    expect(stats.connectLatency).toSatisfy(Object.isFrozen);
    expect(forwarder.stats(used.id)).toMatchObject(expected);
    expect(forwarder.stats(unused.id)).toMatchObject({ sessionsTotal: 0, bytesToHost: 0 });
  });

  test('list who is connected', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const socket = await liveSession(forward);
    expect(forwarder.sessions()).toEqual([
      {
        forwardId: forward.id,
        protocol: 'tcp',
        client: { address: '127.0.0.1', port: socket.localPort },
        target: forward.container,
        source: { address: '127.0.0.1', port: expect.any(Number) as number },
        state: 'open',
        bytesToContainer: 5,
        bytesToHost: 5,
        ageMs: expect.any(Number) as number,
      },
    ]);
    socket.destroy();
  });
});
