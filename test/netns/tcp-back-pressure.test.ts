import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { digestOf, payloadDigest, sendPayload } from '../helpers/payload.js';
import { Program } from '../helpers/program.js';
import { connectTcp, textToEnd } from '../helpers/tcp-client.js';
import { settled } from '../helpers/wait.js';

const MIB = 1 << 20;
const TOTAL_BYTES = 256 * MIB;
// What the buffers of four sockets and a pipe may hold, by tcp_rmem and tcp_wmem, with room to
// spare.
const MAX_IN_FLIGHT = 96 * MIB;
const MAX_GROWTH_KIB = 4_096;

const source = new URL('../helpers/forwarder-program.ts', import.meta.url);

let container: Container;
let program: Program;
let api: ReturnType<typeof start>;

function start() {
  return program.api<ForwarderApi>();
}

beforeAll(async () => {
  container = await Container.start();
  program = new Program(source, { nodeArgs: ['--expose-gc'] });
  api = start();
  await api.create({ netns: container.netns });
});
afterAll(async () => {
  await program.stop();
  await container.stop();
});

describe('back pressure over TCP', () => {
  test('holds a client back while the server reads nothing, and loses nothing', async () => {
    const server = await container.tcp({ kind: 'hold' });
    const { host } = await api.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: server.port },
    });
    const { privateKiB: before } = await api.facts();
    const socket = await connectTcp(host);
    const answer = textToEnd(socket);
    const sending = sendPayload(socket, TOTAL_BYTES);
    const taken = await settled(() => socket.bytesWritten, 'what the client could send');
    expect(taken).toBeLessThan(MAX_IN_FLIGHT);
    expect((await api.facts()).privateKiB - before).toBeLessThan(MAX_GROWTH_KIB);
    await server.resume();
    const sent = await sending;
    socket.end();
    expect(await answer).toBe(`${sent.bytes} ${sent.sha256}`);
  });

  test('holds a server back while the client reads nothing, and loses nothing', async () => {
    const server = await container.tcp({ kind: 'source', bytes: TOTAL_BYTES });
    const { host } = await api.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: server.port },
    });
    const { privateKiB: before } = await api.facts();
    const socket = await connectTcp(host);
    socket.pause();
    const taken = await settled(
      async () => (await server.seen())[0]?.bytesSent ?? 0,
      'what the server could send',
    );
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(MAX_IN_FLIGHT);
    expect((await api.facts()).privateKiB - before).toBeLessThan(MAX_GROWTH_KIB);
    const received = digestOf(socket);
    socket.resume();
    expect(await received).toEqual(payloadDigest(TOTAL_BYTES));
    socket.end();
  });

  test('keeps a stalled session from delaying another', async () => {
    const stalled = await container.tcp({ kind: 'hold' });
    const lively = await container.tcp({ kind: 'digest' });
    const [slow, quick] = await Promise.all(
      [stalled, lively].map(({ port }) =>
        api.add({ host: { address: '127.0.0.1', port: 0 }, container: { port } }),
      ),
    );
    const held = await Promise.all(
      Array.from({ length: 16 }, () => connectTcp({ port: slow?.host.port ?? 0 })),
    );
    const sending = held.map((socket) => sendPayload(socket, TOTAL_BYTES).catch(() => undefined));
    const socket = await connectTcp({ port: quick?.host.port ?? 0 });
    const answer = textToEnd(socket);
    const sent = await sendPayload(socket, 32 * MIB);
    socket.end();
    expect(await answer).toBe(`${sent.bytes} ${sent.sha256}`);
    for (const each of held) each.destroy();
    await Promise.all(sending);
  });
});
