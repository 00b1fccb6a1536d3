// payload.ts: bytes that a test sends, and their digest at the other end.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Socket } from 'node:net';

const BLOCK_BYTES = 1 << 20;
const SLIDE_BYTES = 1 << 13;
const SLIDE_STEP = 13;

/** What arrived: how much, and its SHA-256. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

const noise = makeNoise(BLOCK_BYTES + SLIDE_BYTES);

function makeNoise(bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer);
}

/**
 * `bytes` of noise in blocks of at most `blockBytes` (1 MiB or less). Each block is a different
 * window on one buffer, so that a lost, doubled or swapped block shows, and none is copied.
 */
export function* payload(bytes: number, blockBytes = BLOCK_BYTES): Generator<Buffer> {
  let offset = 0;
  for (let left = bytes; left > 0; left -= blockBytes) {
    yield noise.subarray(offset, offset + Math.min(left, blockBytes));
    offset = (offset + SLIDE_STEP) % SLIDE_BYTES;
  }
}

/** The digest of a payload, without sending it. */
export function payloadDigest(bytes: number, blockBytes = BLOCK_BYTES): Digest {
  const hash = createHash('sha256');
  for (const block of payload(bytes, blockBytes)) hash.update(block);
  return { bytes, sha256: hash.digest('hex') };
}

/** Sends a payload, no faster than the socket takes it; the digest of what was sent. */
export async function sendPayload(
  socket: Socket,
  bytes: number,
  blockBytes = BLOCK_BYTES,
): Promise<Digest> {
  const hash = createHash('sha256');
  for (const block of payload(bytes, blockBytes)) {
    hash.update(block);
    if (!socket.write(block)) await drained(socket);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Unlike `once(socket, 'drain')` it does not wait for ever on a socket that was destroyed. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(socket.errored ?? new Error('destroyed'));
    if (socket.closed) {
      fail();
      return;
    }
    socket.once('close', fail);
    socket.once('drain', () => {
      socket.off('close', fail);
      resolve();
    });
  });
}

/** Reads to the end. */
export async function digestOf(stream: Readable): Promise<Digest> {
  const hash = createHash('sha256');
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  await once(stream, 'end');
  return { bytes, sha256: hash.digest('hex') };
}

/** Reads exactly `bytes`, and pauses. */
export async function digestOfNext(socket: Socket, bytes: number): Promise<Digest> {
  const hash = createHash('sha256');
  let received = 0;
  await new Promise<void>((resolve) => {
    const take = (chunk: Buffer): void => {
      hash.update(chunk);
      received += chunk.length;
      if (received < bytes) return;
      socket.off('data', take);
      socket.pause();
      resolve();
    };
    socket.on('data', take);
    socket.resume();
  });
  return { bytes: received, sha256: hash.digest('hex') };
}
