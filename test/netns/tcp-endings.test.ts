import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import type { TcpService } from '../helpers/container.js';
import { digestOf, payloadDigest, sendPayload } from '../helpers/payload.js';
import type { TcpBehavior } from '../helpers/tcp-server.js';
import { connectTcp, endingOf, nextText } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const BULK_BYTES = 8 << 20;

const fixture = useContainer();
let forwarder: Forwarder;

beforeEach(() => {
  forwarder = new Forwarder({ netns: fixture.container.netns });
});
afterEach(async () => {
  try {
    await until(() => forwarder.stats().sessionsOpen === 0, 'no session is left open');
  } finally {
    await forwarder.close();
  }
});

async function connectTo(behavior: TcpBehavior): Promise<{ server: TcpService; socket: Socket }> {
  const server = await fixture.container.tcp(behavior);
  const { host } = await forwarder.add({
    host: { address: '127.0.0.1', port: 0 },
    container: { port: server.port },
  });
  return { server, socket: await connectTcp(host) };
}

describe('a half-closed TCP session', () => {
  test("delivers the client's FIN, and the server's bulk answer after it", async () => {
    const { server, socket } = await connectTo({ kind: 'source', bytes: BULK_BYTES, after: 'end' });
    socket.end('question');
    expect(await digestOf(socket)).toEqual(payloadDigest(BULK_BYTES));
    const seen = await server.seenOnce(({ closed }) => closed, 'the server is done');
    expect(seen).toMatchObject({ bytesRead: 8, ended: true });
    expect(seen.errorCode).toBeUndefined();
  });

  test("delivers the server's FIN, and the client's bulk after it", async () => {
    const { server, socket } = await connectTo({ kind: 'greet', text: 'no more from me' });
    expect(await nextText(socket)).toBe('no more from me');
    const end = once(socket, 'end');
    socket.resume();
    await end;
    const { sha256 } = await sendPayload(socket, BULK_BYTES);
    socket.end();
    const seen = await server.seenOnce(({ closed }) => closed, 'the server is done');
    expect(seen).toMatchObject({ bytesRead: BULK_BYTES, sha256, ended: true });
    expect(seen.errorCode).toBeUndefined();
  });

  test('delivers a FIN that comes without a byte', async () => {
    const { server, socket } = await connectTo({ kind: 'digest' });
    await server.seenOnce(() => true, 'the server has the connection');
    socket.end();
    await server.seenOnce(({ ended }) => ended, 'the FIN arrives');
    expect(await endingOf(socket)).toEqual({ ended: true });
  });

  test('is listed as half-closed', async () => {
    const { server, socket } = await connectTo({ kind: 'hold' });
    await server.seenOnce(() => true, 'the server has the connection');
    socket.end('bye');
    await until(
      () => forwarder.sessions()[0]?.state === 'half-closed',
      'the session is half-closed',
    );
    await server.resume();
    expect(await endingOf(socket)).toEqual({ ended: true });
  });
});

describe('a TCP reset', () => {
  test('is passed on from the client of an idle connection', async () => {
    const { server, socket } = await connectTo({ kind: 'echo' });
    socket.write('hello');
    await nextText(socket);
    socket.resetAndDestroy();
    const seen = await server.seenOnce(({ closed }) => closed, 'the server loses the connection');
    expect(seen).toMatchObject({ ended: false, errorCode: 'ECONNRESET' });
    expect(forwarder.stats().sessionsReset).toBe(1);
  });

  test('is passed on from the server of an idle connection', async () => {
    const { socket } = await connectTo({ kind: 'reset' });
    socket.write('hello');
    expect(await endingOf(socket)).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    await until(() => forwarder.stats().sessionsReset === 1, 'the reset is counted');
  });

  test('is passed on from the client during bulk to the container', async () => {
    const { server, socket } = await connectTo({ kind: 'digest' });
    await sendPayload(socket, BULK_BYTES);
    socket.resetAndDestroy();
    const seen = await server.seenOnce(({ closed }) => closed, 'the server loses the connection');
    // Not `ended`: libuv says "end" for a reset that it polls together with the last bytes, and
    // only then the error.
    expect(seen.errorCode).toBe('ECONNRESET');
  });

  test('is passed on from the client during bulk to the host', async () => {
    const { server, socket } = await connectTo({ kind: 'source', bytes: 1 << 30 });
    await nextText(socket);
    socket.resetAndDestroy();
    const seen = await server.seenOnce(({ closed }) => closed, 'the server loses the connection');
    expect(seen.errorCode).toMatch(/ECONNRESET|EPIPE/);
    expect(seen.bytesSent).toBeLessThan(1 << 30);
  });

  test('is passed on from the server during bulk to the container', async () => {
    const { socket } = await connectTo({ kind: 'reset' });
    const sending = sendPayload(socket, 1 << 30);
    await expect(sending).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNRESET|EPIPE/) as string,
    });
  });

  test("is passed on from the client after the server's FIN", async () => {
    const { server, socket } = await connectTo({ kind: 'greet', text: 'bye' });
    const end = once(socket, 'end');
    socket.resume();
    await end;
    socket.resetAndDestroy();
    const seen = await server.seenOnce(({ closed }) => closed, 'the server loses the connection');
    expect(seen).toMatchObject({ ended: false, errorCode: 'ECONNRESET' });
  });

  test('is passed on from the client after its own FIN', async () => {
    const { server, socket } = await connectTo({ kind: 'silent' });
    socket.end('bye');
    await server.seenOnce(({ ended }) => ended, 'the FIN arrives');
    socket.resetAndDestroy();
    await until(() => forwarder.stats().sessionsOpen === 0, 'the session ends');
    expect(forwarder.stats().sessionsReset).toBe(1);
    await server.close();
  });

  test('is passed on from the server after its own FIN', async () => {
    const { server, socket } = await connectTo({ kind: 'greet', text: 'bye' });
    const end = once(socket, 'end');
    socket.resume();
    await end;
    await server.close();
    await until(() => forwarder.stats().sessionsOpen === 0, 'the session ends');
    expect(forwarder.stats().sessionsReset).toBe(1);
    socket.destroy();
  });

  test('ends a half-closed session if it comes from the server', async () => {
    const { server, socket } = await connectTo({ kind: 'hold' });
    await server.seenOnce(() => true, 'the server has the connection');
    socket.end('bye');
    await until(
      () => forwarder.sessions()[0]?.state === 'half-closed',
      'the session is half-closed',
    );
    const ending = endingOf(socket);
    await server.close();
    expect(await ending).toEqual({ ended: false, errorCode: 'ECONNRESET' });
  });
});
