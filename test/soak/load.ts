// load.ts: what clients do in a soak. Each task is one thing that a client does, checked to the
// byte.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { digestOf, payload, sendPayload } from '../helpers/payload.js';
import type { Random } from '../helpers/random.js';
import { connectTcp } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { within } from '../helpers/wait.js';

const PATIENCE_MS = 20_000;
const REQUESTS = 200;
const DATAGRAMS = 20;

/** Where the echo servers of a container can be reached. */
export interface Ports {
  readonly tcp: number;
  readonly udp: number;
}

/** Sends up to 8 MiB, reads it back meanwhile, and compares digests. */
export async function bulk({ tcp }: Ports, random: Random): Promise<void> {
  const socket = await connectTcp({ port: tcp });
  try {
    const back = within(digestOf(socket), 'the end of what comes back', PATIENCE_MS);
    const sent = await within(
      sendPayload(socket, random.below(8 << 20) + 1),
      'sending',
      PATIENCE_MS,
    );
    socket.end();
    same(sent, await back, 'what came back of a payload');
  } finally {
    socket.destroy();
  }
}

/** Many requests and answers on one connection. */
export async function requests({ tcp }: Ports, random: Random): Promise<void> {
  const socket = await connectTcp({ port: tcp });
  try {
    for (let i = 0; i < REQUESTS; i++) {
      await echo(socket, blockOf(random.below(20_000) + 1, random));
    }
    socket.end();
  } finally {
    socket.destroy();
  }
}

/** Connects, asks, reads the answer and closes; a third of the clients by a reset. */
export async function short({ tcp }: Ports, random: Random): Promise<void> {
  const socket = await connectTcp({ port: tcp });
  await echo(socket, blockOf(random.below(500) + 1, random));
  if (random.once(3)) socket.resetAndDestroy();
  else socket.end();
  if (!socket.closed) await within(once(socket, 'close'), 'the end of a connection', PATIENCE_MS);
}

/** Leaves in the middle of a payload, when something of it has come back. */
export async function rude({ tcp }: Ports, random: Random): Promise<void> {
  const socket = await connectTcp({ port: tcp });
  for (const block of payload(random.below(1 << 20) + 1)) socket.write(block);
  await within(once(socket, 'data'), 'an answer', PATIENCE_MS);
  socket.resetAndDestroy();
}

/** Datagrams and their answers. One that is lost is sent again; a wrong one fails. */
export async function datagrams({ udp }: Ports, random: Random): Promise<void> {
  using client = await UdpSocket.bind();
  for (let i = 0; i < DATAGRAMS; i++) {
    const data = blockOf(random.below(1_400) + 8, random);
    data.writeUInt32LE(i, 0);
    await askUntilAnswered(client, data, udp);
  }
}

async function askUntilAnswered(client: UdpSocket, data: Buffer, port: number): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt++) {
    await client.send(data, port);
    for (;;) {
      const answer = await client.next(1_000).catch(() => undefined);
      if (answer === undefined) break;
      // A late answer to an earlier attempt.
      if (answer.data.readUInt32LE(0) !== data.readUInt32LE(0)) continue;
      if (!answer.data.equals(data)) throw new Error('a datagram came back with other bytes');
      return;
    }
  }
  throw new Error('a datagram was not answered in ten attempts');
}

function blockOf(bytes: number, random: Random): Buffer {
  const block = Buffer.allocUnsafe(bytes);
  const [noise] = payload(bytes);
  noise?.copy(block);
  block[0] = random.below(256);
  return block;
}

/** Writes a block and reads as many bytes, which must be the same. */
async function echo(socket: Socket, block: Buffer): Promise<void> {
  const chunks: Buffer[] = [];
  let left = block.length;
  const answered = new Promise<void>((resolve, reject) => {
    const settle = (error?: Error): void => {
      socket.off('data', take).off('close', gone);
      socket.pause();
      if (error) reject(error);
      else resolve();
    };
    const gone = (): void => settle(new Error(`cut with ${left} bytes of an answer missing`));
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      left -= chunk.length;
      if (left <= 0) settle();
    };
    socket.on('data', take).on('close', gone);
    socket.resume();
  });
  socket.write(block);
  await within(answered, 'an answer', PATIENCE_MS);
  if (!Buffer.concat(chunks).equals(block)) throw new Error('an answer had other bytes');
}

function same(sent: object, received: object, what: string): void {
  const [a, b] = [JSON.stringify(sent), JSON.stringify(received)];
  if (a !== b) throw new Error(`${what}: sent ${a}, received ${b}`);
}
