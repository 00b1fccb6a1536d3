import { beforeAll, describe, expect, test } from 'vitest';
import { Engine, Forwarder, type EndedSession, type Forward } from '../../src/index.js';
import { openFds, threadNames } from '../helpers/process-facts.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const fixture = useContainer();
let port: number;

beforeAll(async () => {
  ({ port } = await fixture.container.tcp({ kind: 'echo' }));
});

const toEcho = () => ({ host: { address: '127.0.0.1', port: 0 }, container: { port } });
const engineThreads = () => threadNames().filter((name) => name.startsWith('spliceport')).length;

async function liveSession({ host }: Forward) {
  const socket = await connectTcp(host);
  socket.write('hello');
  expect(await nextText(socket)).toBe('hello');
  return socket;
}

describe('forwarders on one engine', () => {
  test('share its threads', async () => {
    const threads = engineThreads();
    await using engine = new Engine({ workers: 3 });
    await using one = new Forwarder({ engine, netns: fixture.container.netns });
    await using other = new Forwarder({ engine, netns: fixture.container.netns });
    const forwards = [await one.add(toEcho()), await other.add(toEcho())];
    for (const { host } of forwards) expect(await askTcp(host, 'hello')).toBe('hello');
    expect(engineThreads()).toBe(threads + 3);
  });

  test('have their own forwards, under ids of which none is another’s', async () => {
    await using engine = new Engine();
    await using one = new Forwarder({ engine, netns: fixture.container.netns });
    await using other = new Forwarder({ engine, netns: fixture.container.netns });
    const [first] = await one.addAll([toEcho(), toEcho()]);
    const second = await other.add(toEcho());
    expect([one.list().map(({ id }) => id), other.list().map(({ id }) => id)]).toEqual([
      [1, 2],
      [3],
    ]);
    expect([one.get(3), other.get(1)]).toEqual([undefined, undefined]);
    const unknown = { code: 'ERR_SPLICEPORT_NO_SUCH_FORWARD', forwardId: 3 };
    await expect(one.remove(second.id)).rejects.toMatchObject(unknown);
    await expect(one.retarget(second.id, { port: 7 })).rejects.toMatchObject(unknown);
    expect(() => one.stats(second.id)).toThrow(expect.objectContaining(unknown) as Error);
    expect(await askTcp(second.host, 'hello')).toBe('hello');
    expect(first?.id).toBe(1);
  });

  test('have their own sessions and counters, those of removed forwards among them', async () => {
    await using engine = new Engine();
    await using one = new Forwarder({ engine, netns: fixture.container.netns });
    await using other = new Forwarder({ engine, netns: fixture.container.netns });
    const [kept, removed] = await one.addAll([toEcho(), toEcho()]);
    const theirs = await other.add(toEcho());
    if (kept === undefined || removed === undefined) throw new Error('there are two');
    await askTcp(removed.host, 'hello');
    await askTcp(theirs.host, 'hello, other');
    await one.remove(removed.id);
    const live = await liveSession(kept);
    await until(() => one.stats().sessionsOpen === 1, 'one open session');
    expect(one.sessions().map(({ forwardId }) => forwardId)).toEqual([kept.id]);
    expect(other.sessions()).toEqual([]);
    expect(one.stats()).toMatchObject({ sessionsTotal: 2, bytesToContainer: 10 });
    expect(one.stats(kept.id)).toMatchObject({ sessionsTotal: 1, bytesToContainer: 5 });
    expect(other.stats()).toMatchObject({ sessionsTotal: 1, bytesToContainer: 12 });
    live.destroy();
  });

  test('hear of their own events and their own sessions’ ends', async () => {
    await using engine = new Engine();
    const ended: Record<string, string[]> = { one: [], other: [] };
    const options = (name: string) => ({
      engine,
      netns: fixture.container.netns,
      onSessionsEnded: (ends: readonly EndedSession[]) =>
        void ended[name]?.push(...ends.map(({ forwardId, ending }) => `${forwardId} ${ending}`)),
    });
    await using one = new Forwarder(options('one'));
    await using other = new Forwarder(options('other'));
    await using silent = new Forwarder({ engine, netns: fixture.container.netns });
    const added: number[] = [];
    one.on('added', ({ id }) => void added.push(id));
    const forwards = [
      await one.add(toEcho()),
      await other.add(toEcho()),
      await silent.add(toEcho()),
    ];
    for (const { host } of forwards) await askTcp(host, 'hello');
    await until(() => ended['one']?.length === 1 && ended['other']?.length === 1, 'both ends');
    expect(ended).toEqual({ one: ['1 fin'], other: ['2 fin'] });
    expect(added).toEqual([1]);
  });
});

describe('close() of a forwarder on a shared engine', () => {
  test('ends its forwards and sessions alone, with its last figures', async () => {
    const fds = openFds();
    await using engine = new Engine();
    const ended: string[] = [];
    const closing = new Forwarder({
      engine,
      netns: fixture.container.netns,
      onSessionsEnded: (ends) => void ended.push(...ends.map(({ ending }) => ending)),
    });
    await using staying = new Forwarder({ engine, netns: fixture.container.netns });
    const [left, gone] = [await staying.add(toEcho()), await closing.add(toEcho())];
    const live = await liveSession(left);
    const ending = endingOf(await liveSession(gone));
    const removed: number[] = [];
    closing.on('removed', ({ id }) => void removed.push(id));
    await closing.close();
    await ending;
    expect(await isRefused(gone.host)).toBe(true);
    expect([closing.closed, closing.list(), removed, ended]).toEqual([true, [], [2], ['removed']]);
    expect(closing.stats()).toMatchObject({ sessionsTotal: 1, sessionsOpen: 0, bytesToHost: 5 });
    expect(closing.sessions()).toEqual([]);
    live.write('still here');
    expect(await nextText(live)).toBe('still here');
    expect((await staying.add(toEcho())).id).toBe(3);
    live.destroy();
    await engine.close();
    await until(() => openFds() <= fds, 'every descriptor is closed');
  });

  test('ends what drains for longer', async () => {
    await using engine = new Engine();
    const forwarder = new Forwarder({ engine, netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const ending = endingOf(await liveSession(forward));
    const removing = forwarder.remove(forward.id, { drainMs: 60_000 });
    await forwarder.close();
    await Promise.all([removing, ending]);
  });
});

describe('close() of an engine', () => {
  test('closes the forwarders that are left, and its threads end', async () => {
    const [fds, threads] = [openFds(), engineThreads()];
    const engine = new Engine();
    const forwarders = [0, 1].map(() => new Forwarder({ engine, netns: fixture.container.netns }));
    const forwards = await Promise.all(forwarders.map((forwarder) => forwarder.add(toEcho())));
    await forwarders[0]?.close();
    await engine.close();
    await engine.close();
    expect([engine.closed, ...forwarders.map(({ closed }) => closed)]).toEqual([true, true, true]);
    for (const { host } of forwards) expect(await isRefused(host)).toBe(true);
    expect(forwarders[1]?.stats()).toMatchObject({ sessionsTotal: 0 });
    expect(engineThreads()).toBe(threads);
    await until(() => openFds() <= fds, 'every descriptor is closed');
  });

  test('leaves no forwarder a chance to begin', async () => {
    const engine = new Engine();
    await engine.close();
    expect(() => new Forwarder({ engine })).toThrow(
      expect.objectContaining({ code: 'ERR_SPLICEPORT_CLOSED' }) as Error,
    );
  });
});

describe('the options of an engine', () => {
  test.each(['workers', 'spinMicros', 'pipeCapacityBytes', 'nearRttMicros'])(
    'are the engine’s alone: %s is refused beside one',
    async (name) => {
      await using engine = new Engine();
      expect(() => new Forwarder({ engine, [name]: 1 })).toThrow(
        expect.objectContaining({
          code: 'ERR_SPLICEPORT_INVALID_ARG_TYPE',
          message: expect.stringContaining(`options.${name}`) as string,
        }) as Error,
      );
    },
  );

  test('are checked', () => {
    expect(() => new Engine({ workers: 65 })).toThrow('options.workers');
    expect(() => new Engine({ worker: 1 } as object)).toThrow('unknown field');
    const engine = { closed: false, close: () => Promise.resolve() };
    expect(() => new Forwarder({ engine })).toThrow('an Engine for options.engine');
  });
});
