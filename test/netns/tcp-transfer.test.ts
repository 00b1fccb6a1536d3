import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { digestOf, digestOfNext, payloadDigest, sendPayload } from '../helpers/payload.js';
import { askTcp, connectTcp, nextText, textToEnd, type Where } from '../helpers/tcp-client.js';

const MIB = 1 << 20;
const GIB = 1 << 30;
const SIZES = [0, 1, 999, 16_384, 65_537, MIB + 3, 32 * MIB];

let container: Container;
let forwarder: Forwarder;

beforeAll(async () => {
  container = await Container.start();
  forwarder = new Forwarder({ netns: container.netns });
});
afterAll(async () => {
  await forwarder.close();
  await container.stop();
});

async function forwardTo(port: number): Promise<Where> {
  const { host } = await forwarder.add({
    host: { address: '127.0.0.1', port: 0 },
    container: { port },
  });
  return host;
}

async function upload(where: Where, bytes: number): Promise<void> {
  const socket = await connectTcp(where);
  const answer = textToEnd(socket);
  const sent = await sendPayload(socket, bytes);
  socket.end();
  expect(await answer).toBe(`${sent.bytes} ${sent.sha256}`);
}

async function download(where: Where, bytes: number): Promise<void> {
  const socket = await connectTcp(where);
  const received = await digestOf(socket);
  socket.end();
  expect(received).toEqual(payloadDigest(bytes));
}

describe('a TCP forward', () => {
  test.each(SIZES)('relays %i bytes to the container', async (bytes) => {
    const { port } = await container.tcp({ kind: 'digest' });
    await upload(await forwardTo(port), bytes);
  });

  test.each(SIZES)('relays %i bytes to the host', async (bytes) => {
    const { port } = await container.tcp({ kind: 'source', bytes });
    await download(await forwardTo(port), bytes);
  });

  test.each(SIZES)('relays %i bytes both ways at once', async (bytes) => {
    const { port } = await container.tcp({ kind: 'echo' });
    const socket = await connectTcp(await forwardTo(port));
    const back = digestOf(socket);
    const sent = await sendPayload(socket, bytes, 100_003);
    socket.end();
    expect(await back).toEqual(sent);
  });

  test('relays 1 GiB to the container', { timeout: 60_000 }, async () => {
    const { port } = await container.tcp({ kind: 'digest' });
    await upload(await forwardTo(port), GIB);
  });

  test('relays 1 GiB to the host', { timeout: 60_000 }, async () => {
    const { port } = await container.tcp({ kind: 'source', bytes: GIB });
    await download(await forwardTo(port), GIB);
  });

  test('relays chat, then bulk, then chat again on one connection', async () => {
    const { port } = await container.tcp({ kind: 'echo' });
    const socket = await connectTcp(await forwardTo(port));
    for (let round = 0; round < 4; round += 1) {
      for (let i = 0; i < 50; i += 1) {
        socket.write(`${round}.${i}`);
        expect(await nextText(socket)).toBe(`${round}.${i}`);
      }
      const back = digestOfNext(socket, 8 * MIB + round);
      const sent = await sendPayload(socket, 8 * MIB + round);
      expect(await back).toEqual(sent);
    }
    socket.destroy();
  });

  test('keeps 64 connections separate', async () => {
    const { port } = await container.tcp({ kind: 'echo' });
    const where = await forwardTo(port);
    const answers = Array.from({ length: 64 }, async (_, index) => {
      const socket = await connectTcp(where);
      const back = digestOf(socket);
      const sent = await sendPayload(socket, MIB + index, 7_001 + index);
      socket.end();
      expect(await back).toEqual(sent);
    });
    await Promise.all(answers);
  });

  test('delivers data of a server that speaks first', async () => {
    const { port } = await container.tcp({ kind: 'greet', text: '220 ready' });
    const where = await forwardTo(port);
    expect(await askTcp(where)).toBe('220 ready');
  });
});
