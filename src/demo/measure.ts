// measure.ts: clients of the demo, which use the forward like any other program.

import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { BULK_PATH, PING_PATH } from './container-messages.js';

const READ_BYTES = 1 << 20;

/** One HTTP request. */
export interface Fetched {
  readonly status: number;
  readonly body: string;
  /** From connect to the last byte. */
  readonly micros: number;
}

/** Fetches a page on a new connection, or on one of the agent's. */
export async function fetchPage(
  port: number,
  path: string,
  agent: Agent | false = false,
): Promise<Fetched> {
  const start = performance.now();
  const headers = { 'user-agent': 'spliceport demo' };
  const request = get({ host: '127.0.0.1', port, path, headers, agent });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = await text(response);
  return {
    status: response.statusCode ?? 0,
    body,
    micros: (performance.now() - start) * 1_000,
  };
}

/** Times of `count` requests in sequence, on one connection or on one each. Unit: microseconds. */
export async function roundTrips(
  port: number,
  count: number,
  { keepAlive }: { readonly keepAlive: boolean },
): Promise<number[]> {
  const agent = keepAlive && new Agent({ keepAlive, maxSockets: 1 });
  const micros: number[] = [];
  for (let i = 0; i < count; i += 1) micros.push((await fetchPage(port, PING_PATH, agent)).micros);
  if (agent !== false) agent.destroy();
  return micros;
}

/** A bulk transfer. */
export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
}

/** Reads `bytes` through the forward, or as many as come within `maxSeconds`. */
export async function readBulk(port: number, bytes: number, maxSeconds: number): Promise<Transfer> {
  let received = 0;
  const socket = createConnection({
    host: '127.0.0.1',
    port,
    // One buffer for all reads, to measure the forward and not the garbage collector.
    onread: {
      buffer: Buffer.alloc(READ_BYTES),
      callback: (count) => {
        received += count;
        return true;
      },
    },
  });
  await once(socket, 'connect');
  const start = performance.now();
  const limit = setTimeout(() => socket.destroy(), maxSeconds * 1_000);
  socket.write(`GET ${BULK_PATH}${bytes} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  try {
    await once(socket, 'close');
  } finally {
    clearTimeout(limit);
  }
  return { bytes: received, seconds: (performance.now() - start) / 1_000 };
}
