// transfers.ts: clients of container-server.ts that send much and compare what came back.

import { createHash } from 'node:crypto';
import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { payload, sendPayload } from '../../helpers/payload.js';
import { within } from '../../helpers/wait.js';

const transferMs = 30_000;
const answerMs = 5_000;
/** Sent but not yet answered, at most. What fits into a socket's buffers cannot be lost. */
const windowDatagrams = 32;

/** SHA-256 digests of one transfer at its three stations; all the same when nothing went wrong. */
export interface Digests {
  readonly sent: string;
  readonly inContainer: string;
  readonly back: string;
}

/** A received datagram. */
export interface Datagram {
  readonly text: string;
  /** Where it came from. */
  readonly address: string;
  readonly port: number;
}

/** Sends `bytes` and a FIN through a `digest` server. */
export async function transferTcp(socket: Socket, bytes: number): Promise<Digests> {
  const back = createHash('sha256');
  let left = bytes;
  let inContainer = '';
  socket.on('data', (chunk: Buffer) => {
    back.update(chunk.subarray(0, left));
    inContainer += chunk.subarray(left).toString();
    left = Math.max(0, left - chunk.length);
  });
  const ended = once(socket, 'end');
  const { sha256 } = await sendPayload(socket, bytes);
  socket.end();
  await within(ended, `${bytes} bytes there and back`, transferMs);
  return { sent: sha256, inContainer, back: back.digest('hex') };
}

/** Sends a datagram and gives the next one that arrives. */
export async function askUdp(
  socket: UdpSocket,
  text: string,
  { address, port }: { readonly address: string; readonly port: number },
): Promise<Datagram> {
  const reply = once(socket, 'message') as Promise<[Buffer, RemoteInfo]>;
  socket.send(text, port, address);
  const [data, from] = await within(reply, `an answer from ${address} port ${port}`, answerMs);
  return { text: data.toString(), address: from.address, port: from.port };
}

/** Sends `bytes` through a `udp` server, in datagrams that wait for the answers to earlier ones. */
export async function transferUdp(
  socket: UdpSocket,
  bytes: number,
  where: { readonly address: string; readonly port: number },
): Promise<Digests> {
  const sent = createHash('sha256');
  const back = createHash('sha256');
  const blocks = payload(bytes, 1_400);
  let unanswered = 0;
  await within(
    new Promise<void>((resolve) => {
      const sendMore = (): void => {
        while (unanswered < windowDatagrams) {
          const next = blocks.next();
          if (next.done === true) break;
          sent.update(next.value);
          socket.send(next.value, where.port, where.address);
          unanswered += 1;
        }
        if (unanswered === 0) resolve();
      };
      socket.on('message', (data) => {
        back.update(data);
        unanswered -= 1;
        sendMore();
      });
      sendMore();
    }),
    `${bytes} bytes there and back in datagrams`,
    transferMs,
  );
  socket.removeAllListeners('message');
  const { text } = await askUdp(socket, 'digest', where);
  return { sent: sent.digest('hex'), inContainer: text, back: back.digest('hex') };
}
