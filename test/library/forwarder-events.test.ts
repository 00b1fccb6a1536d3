import { beforeAll, describe, expect, test } from 'vitest';
import { Forwarder, type Forward, type ForwarderEvents } from '../../src/index.js';
import { askTcp } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';

const fixture = useContainer();
let port: number;

beforeAll(async () => {
  ({ port } = await fixture.container.tcp({ kind: 'echo' }));
});

const toEcho = () => ({ host: { address: '127.0.0.1', port: 0 }, container: { port } });

/** What a forwarder says of the target of each forward, in order. */
function hear(forwarder: Forwarder): string[] {
  const heard: string[] = [];
  const tell = (event: string) => (forward: Forward) =>
    void heard.push(`${event} ${forward.id} ${forward.container.address}`);
  forwarder.on('added', tell('added')).on('removed', tell('removed'));
  forwarder.on('retargeted', tell('retargeted')).on('warning', tell('warning'));
  return heard;
}

describe('events of a forwarder', () => {
  test('report every forward that is added, retargeted or removed, in order', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    await forwarder.addAll([toEcho(), toEcho()]);
    await forwarder.retarget(1, { address: '127.0.0.2' });
    await forwarder.retarget([1, 2], { address: '127.0.0.3' });
    await forwarder.remove([1, 2]);
    expect(heard).toEqual([
      'added 1 127.0.0.1',
      'added 2 127.0.0.1',
      'retargeted 1 127.0.0.2',
      'retargeted 1 127.0.0.3',
      'retargeted 2 127.0.0.3',
      'removed 1 127.0.0.3',
      'removed 2 127.0.0.3',
    ]);
  });

  test('come when the change is in force, before the call returns', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    const listed: (readonly Forward[])[] = [];
    forwarder.on('added', () => void listed.push(forwarder.list()));
    const adding = forwarder.addAll([toEcho(), toEcho()]);
    expect(heard).toHaveLength(2);
    const forwards = await adding;
    expect(listed).toEqual([forwards, forwards]);
    const removing = forwarder.remove(1, { drainMs: 60_000 });
    expect(heard).toHaveLength(3);
    await removing;
  });

  test('include the previous target with a new one', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const changes: (readonly Forward[])[] = [];
    forwarder.on('retargeted', (...change) => void changes.push(change));
    const before = await forwarder.add(toEcho());
    await forwarder.retarget(before.id, { port: 7 });
    expect(changes).toEqual([[forwarder.get(before.id), before]]);
    expect(changes[0]?.[0]?.container.port).toBe(7);
  });

  test('report nothing if a call fails', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add(toEcho());
    const heard = hear(forwarder);
    await expect(forwarder.addAll([toEcho(), { ...toEcho(), host: forwardHost(forward) }]))
      .rejects //
      .toMatchObject({ code: 'ERR_SPLICEPORT_ALREADY_FORWARDED' });
    await expect(forwarder.retarget([1, 9], { port: 7 })).rejects.toThrow();
    await expect(forwarder.remove([1, 9])).rejects.toThrow();
    expect(heard).toEqual([]);
  });

  test('report what close() removes, once', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    await forwarder.addAll([toEcho(), toEcho(), toEcho()]);
    await forwarder.remove(1);
    await forwarder.close();
    await forwarder.close();
    const removed = heard.filter((event) => event.startsWith('removed'));
    expect(removed.sort()).toEqual([1, 2, 3].map((id) => `removed ${id} 127.0.0.1`));
  });

  test('report at the beginning what a draining close() removes', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    await forwarder.add(toEcho());
    const heard = hear(forwarder);
    const closed = forwarder.close({ drainMs: 60_000 });
    expect(heard).toEqual(['removed 1 127.0.0.1']);
    await closed;
    expect(heard).toHaveLength(1);
  });

  test('do not reach a removed listener, and reach one that was added twice once', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const added: number[] = [];
    const listener = ({ id }: Forward) => void added.push(id);
    forwarder.on('added', listener).on('added', listener);
    await forwarder.add(toEcho());
    forwarder.off('added', listener).off('added', listener);
    await forwarder.add(toEcho());
    expect(added).toEqual([1]);
  });
});

describe('a listener for events', () => {
  test('that throws affects neither the call nor other listeners, and causes an unhandled rejection', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const unhandled: string[] = [];
    const note = (reason: Error) => void unhandled.push(reason.message);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
    const thrown = (text: string) => () => {
      throw new Error(text);
    };
    forwarder.on('added', thrown('first')).on('removed', () => Promise.reject(new Error('third')));
    const heard = hear(forwarder);
    const forward = await forwarder.add(toEcho());
    expect(await askTcp(forward.host, 'hello')).toBe('hello');
    await forwarder.remove(forward.id);
    await new Promise(setImmediate);
    process.off('unhandledRejection', note);
    for (const other of others) process.on('unhandledRejection', other);
    expect(heard).toEqual(['added 1 127.0.0.1', 'removed 1 127.0.0.1']);
    expect(unhandled).toEqual(['first', 'third']);
  });

  test('may close the forwarder', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    forwarder.on('added', () => forwarder.close());
    const { id } = await forwarder.add(toEcho());
    expect([id, forwarder.closed, forwarder.list()]).toEqual([1, true, []]);
  });

  test.each<[string, unknown, unknown, string]>([
    ['an unknown event', 'gone', () => 0, 'ERR_SPLICEPORT_OUT_OF_RANGE'],
    ['an event that is not a string', 7, () => 0, 'ERR_SPLICEPORT_INVALID_ARG_TYPE'],
    ['a listener that is not a function', 'added', 'f', 'ERR_SPLICEPORT_INVALID_ARG_TYPE'],
  ])('is rejected for %s', async (_what, event, listener, code) => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const call = () => forwarder.on(event as keyof ForwarderEvents, listener as () => void);
    expect(call).toThrow(expect.objectContaining({ code }) as Error);
  });
});

function forwardHost({ host: { address, port: hostPort } }: Forward) {
  return { address, port: hostPort };
}
