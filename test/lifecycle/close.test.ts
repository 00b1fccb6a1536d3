import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { describeFds, threadNames } from '../helpers/process-facts.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { within } from '../helpers/wait.js';

let container: Container;
let spec: { host: { address: string; port: number }; container: { port: number } };

beforeAll(async () => {
  container = await Container.start();
  const { port } = await container.tcp({ kind: 'echo' });
  spec = { host: { address: '127.0.0.1', port: 0 }, container: { port } };
});
afterAll(() => container.stop());

function engineThreads(): number {
  return threadNames().filter((name) => name.startsWith('spliceport')).length;
}

describe('close of a forwarder', () => {
  test('cuts sessions, frees the port before it returns, and ends the threads', async () => {
    const forwarder = new Forwarder({ netns: container.netns, workers: 3 });
    const { host } = await forwarder.add(spec);
    expect(engineThreads()).toBe(3);
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const ending = endingOf(socket);
    const closed = forwarder.close();
    expect(forwarder.closed).toBe(true);
    expect(await isRefused(host)).toBe(true);
    await closed;
    expect((await ending).errorCode).toBe('ECONNRESET');
    expect(engineThreads()).toBe(0);
  });

  test('may be called again, at the same time or later', async () => {
    const forwarder = new Forwarder({ netns: container.netns });
    await forwarder.add(spec);
    await Promise.all([forwarder.close(), forwarder.close(), forwarder.close({ drainMs: 1_000 })]);
    await forwarder.close();
    expect(forwarder.list()).toEqual([]);
  });

  test('without drainMs cuts sessions that an earlier close lets drain', async () => {
    const forwarder = new Forwarder({ netns: container.netns });
    const { host } = await forwarder.add(spec);
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const ending = endingOf(socket);
    const draining = forwarder.close({ drainMs: 60_000 });
    await forwarder.close();
    await within(draining, 'the first close', 1_000);
    expect((await ending).errorCode).toBe('ECONNRESET');
  });

  test('with drainMs cuts sessions that have not finished in time', async () => {
    const forwarder = new Forwarder({ netns: container.netns });
    const { host } = await forwarder.add(spec);
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const ending = endingOf(socket);
    const start = performance.now();
    await within(forwarder.close({ drainMs: 300 }), 'close', 3_000);
    expect(performance.now() - start).toBeGreaterThan(250);
    expect((await ending).errorCode).toBe('ECONNRESET');
  });

  test('makes every later call fail with ERR_SPLICEPORT_CLOSED', async () => {
    const forwarder = new Forwarder({ netns: container.netns });
    await forwarder.close();
    const closed = { code: 'ERR_SPLICEPORT_CLOSED' };
    await expect(forwarder.add(spec)).rejects.toMatchObject(closed);
    await expect(forwarder.addAll([spec])).rejects.toMatchObject(closed);
    await expect(forwarder.remove(1)).rejects.toMatchObject(closed);
    await expect(forwarder.retarget(1, { port: 1 })).rejects.toMatchObject(closed);
  });

  test('happens at the end of a block with `await using`', async () => {
    const port = await (async () => {
      await using forwarder = new Forwarder({ netns: container.netns });
      const { host } = await forwarder.add(spec);
      expect(await askTcp(host, 'hello')).toBe('hello');
      return host.port;
    })();
    expect(await isRefused({ port })).toBe(true);
    expect(engineThreads()).toBe(0);
  });
});

describe('an abort signal', () => {
  test('closes the forwarder at once', async () => {
    const controller = new AbortController();
    const forwarder = new Forwarder({ netns: container.netns, signal: controller.signal });
    const { host } = await forwarder.add(spec);
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const ending = endingOf(socket);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(forwarder.closed).toBe(true);
    expect(await isRefused(host)).toBe(true);
    expect((await ending).errorCode).toBe('ECONNRESET');
    await expect(forwarder.add(spec)).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_CLOSED',
      cause: reason,
    });
    await forwarder.close();
  });

  test('cuts sessions that a close lets drain', async () => {
    const controller = new AbortController();
    const forwarder = new Forwarder({ netns: container.netns, signal: controller.signal });
    const { host } = await forwarder.add(spec);
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const draining = forwarder.close({ drainMs: 60_000 });
    controller.abort();
    await within(draining, 'close', 1_000);
    socket.destroy();
  });

  test('that is already aborted creates a closed forwarder', async () => {
    const forwarder = new Forwarder({ netns: container.netns, signal: AbortSignal.abort() });
    expect(forwarder.closed).toBe(true);
    await expect(forwarder.add(spec)).rejects.toMatchObject({ code: 'ERR_SPLICEPORT_CLOSED' });
    expect(engineThreads()).toBe(0);
  });
});

describe('several forwarders in one process', () => {
  test('are independent, and leave no descriptor behind', async () => {
    const before = describeFds().sort();
    const forwarders = Array.from({ length: 10 }, () => new Forwarder({ netns: container.netns }));
    const forwards = await Promise.all(forwarders.map((forwarder) => forwarder.add(spec)));
    expect(new Set(forwards.map(({ host }) => host.port)).size).toBe(10);
    for (const [index, forwarder] of forwarders.entries()) {
      await forwarder.close();
      const rest = forwards.slice(index + 1).map(({ host }) => askTcp(host, 'on'));
      expect(await Promise.all(rest)).toEqual(rest.map(() => 'on'));
    }
    // The clients' own descriptors close a turn later.
    await new Promise((resolve) => setImmediate(resolve));
    expect(describeFds().sort()).toEqual(before);
  });
});
