import { createServer } from 'node:net';
import { once } from 'node:events';
import { beforeAll, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until, within } from '../helpers/wait.js';

const RANGE = 20;

const fixture = useContainer();
let echoPort: number;

beforeAll(async () => {
  ({ port: echoPort } = await fixture.container.tcp({ kind: 'echo' }));
});

function toEcho(port = 0) {
  return { host: { address: '127.0.0.1', port }, container: { port: echoPort } };
}

async function bindable(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

describe('remove', () => {
  test('frees the port before the call returns, and cuts open sessions', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add(toEcho());
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const ending = endingOf(socket);
    const removed = forwarder.remove(id);
    expect(await isRefused(host)).toBe(true);
    expect(await bindable(host.port)).toBe(true);
    await within(removed, 'the forward is gone', 1_000);
    expect((await ending).errorCode).toBe('ECONNRESET');
    expect(forwarder.list()).toEqual([]);
    expect(forwarder.sessions()).toEqual([]);
  });

  test('allows the port to be forwarded again at once, with a new id', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const first = await forwarder.add(toEcho());
    for (let i = 1; i <= 50; i += 1) {
      const removed = forwarder.remove(i);
      const again = await forwarder.add(toEcho(first.host.port));
      expect(again.id).toBe(i + 1);
      await removed;
    }
    expect(await askTcp(first.host, 'still')).toBe('still');
  });

  test('with drainMs frees the port and lets live sessions finish', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add(toEcho());
    const socket = await connectTcp(host);
    socket.write('before');
    await nextText(socket);
    let gone = false;
    const removed = forwarder.remove(id, { drainMs: 30_000 }).then(() => (gone = true));
    expect(await isRefused(host)).toBe(true);
    socket.write('while it drains');
    expect(await nextText(socket)).toBe('while it drains');
    expect(forwarder.stats(id).sessionsOpen).toBe(1);
    expect(gone).toBe(false);
    socket.end('bye');
    expect(await nextText(socket)).toBe('bye');
    expect(await endingOf(socket)).toEqual({ ended: true });
    await within(removed, 'the forward is gone', 2_000);
  });

  test('cuts sessions that have not finished when drainMs has passed', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add(toEcho());
    const socket = await connectTcp(host);
    socket.write('hello');
    await nextText(socket);
    const start = performance.now();
    const ending = endingOf(socket);
    await within(forwarder.remove(id, { drainMs: 300 }), 'the forward is gone', 3_000);
    expect(performance.now() - start).toBeGreaterThan(250);
    expect((await ending).errorCode).toBe('ECONNRESET');
  });

  test('frees a UDP port at once and ends its flows', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add({
      protocol: 'udp',
      host: { address: '127.0.0.1', port: 0 },
      container: { port: service.port },
    });
    using client = await UdpSocket.bind();
    await client.ask('hello', host.port);
    expect(forwarder.stats().sessionsOpen).toBe(1);
    const removed = forwarder.remove(id);
    using taken = await UdpSocket.bind({ port: host.port });
    expect(taken.port).toBe(host.port);
    await removed;
    await until(() => forwarder.stats().sessionsOpen === 0, 'the flow ends');
  });

  test('of one forward does not affect the others', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const one = await forwarder.add(toEcho());
    const other = await forwarder.add(toEcho());
    const socket = await connectTcp(other.host);
    socket.write('before');
    await nextText(socket);
    await forwarder.remove(one.id);
    socket.write('after');
    expect(await nextText(socket)).toBe('after');
    expect(forwarder.list()).toEqual([other]);
    socket.destroy();
  });
});

describe('close', () => {
  test('with drainMs accepts no more clients, and settles when the last session has finished', async () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toEcho());
    const socket = await connectTcp(host);
    socket.write('before');
    await nextText(socket);
    const closed = forwarder.close({ drainMs: 30_000 });
    expect(await isRefused(host)).toBe(true);
    socket.end('bye');
    expect(await nextText(socket)).toBe('bye');
    expect(await endingOf(socket)).toEqual({ ended: true });
    await within(closed, 'the forwarder closes', 2_000);
    expect(forwarder.stats()).toMatchObject({ sessionsOpen: 0, sessionsTotal: 1 });
  });
});

describe('ranges of ports', () => {
  test('are forwarded port by port', async () => {
    const first = 20_000;
    await Promise.all(
      Array.from({ length: RANGE }, (_, index) =>
        fixture.container.tcp(
          { kind: 'greet', text: `port ${first + index}` },
          { port: first + index },
        ),
      ),
    );
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forwards = await forwarder.addAll([
      { host: { address: '127.0.0.1', port: 0 }, container: { port: first }, count: RANGE },
    ]);
    const answers = await Promise.all(forwards.map(({ host }) => askTcp(host)));
    expect(answers).toEqual(forwards.map(({ container: { port } }) => `port ${port}`));
  });

  test('are opened as a whole or not at all', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add(toEcho());
    const { host: taken } = await forwarder.add(toEcho());
    const free = host.port;
    await forwarder.remove(id);
    const specs = [free, taken.port].map(toEcho);
    await expect(forwarder.addAll(specs)).rejects.toMatchObject({
      code: expect.stringMatching(/EADDRINUSE|ALREADY_FORWARDED/) as string,
    });
    expect(await bindable(free)).toBe(true);
  });
});
