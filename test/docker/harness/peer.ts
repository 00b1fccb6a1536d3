// peer.ts: a program in a network namespace of the test's machine: a server in a container, or a
// client outside of it.

import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { serve } from '../../helpers/rpc.js';

interface Place {
  readonly host: string;
  readonly port: number;
}

const sessions = new Map<number, Socket>();
/** The clients that the server has seen. */
const clients = new Set<string>();
const load = { runs: false };

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** What comes back for bytes that are sent: all until the end. */
async function echo({ host, port, bytes }: Place & { bytes: number }): Promise<boolean> {
  const sent = randomBytes(bytes);
  const socket = connect({ host, port });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end(sent);
  await once(socket, 'close');
  return digest(Buffer.concat(chunks)) === digest(sent);
}

const handlers = {
  async serveTcp({ host, port }: Place): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      clients.add(socket.remoteAddress ?? '');
      socket.on('error', () => socket.destroy()).pipe(socket);
    });
    await once(server.listen({ host, port }), 'listening');
  },
  async serveUdp({ host, port }: Place): Promise<void> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (text, from) => socket.send(text, from.port, from.address));
    socket.bind(port, host);
    await once(socket, 'listening');
  },
  seen(): string[] {
    return [...clients];
  },
  echoTcp: echo,
  async echoUdp({ host, port, count }: Place & { count: number }): Promise<number> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.connect(port, host);
    await once(socket, 'connect');
    let answers = 0;
    for (let i = 0; i < count; i += 1) {
      const answer = once(socket, 'message', { signal: AbortSignal.timeout(2_000) });
      socket.send(`datagram ${i}`);
      const [text] = (await answer.catch(() => [''])) as [Buffer | string];
      if (text.toString() === `datagram ${i}`) answers += 1;
    }
    socket.close();
    return answers;
  },
  /** The code of the failure, or `connected`. */
  async tryTcp({ host, port }: Place): Promise<string> {
    const socket = connect({ host, port });
    try {
      await once(socket, 'connect');
      return 'connected';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    } finally {
      socket.destroy();
    }
  },
  async open({ id, host, port }: Place & { id: number }): Promise<void> {
    const socket = connect({ host, port });
    socket.on('error', () => socket.destroy());
    await once(socket, 'connect');
    sessions.set(id, socket);
  },
  /** What comes back in a session that is open; `closed` if it has ended. */
  async exchange({ id, text }: { id: number; text: string }): Promise<string> {
    const socket = sessions.get(id);
    if (socket === undefined || socket.destroyed) return 'closed';
    const answer = once(socket, 'data');
    socket.write(text);
    const [data] = (await Promise.race([answer, once(socket, 'close')])) as [Buffer | boolean];
    return Buffer.isBuffer(data) ? data.toString() : 'closed';
  },
  close({ id }: { id: number }): void {
    sessions.get(id)?.destroy();
  },
  /** Short connections and a stream, until {@link handlers.rest}. */
  hammer(place: Place): void {
    load.runs = true;
    for (let i = 0; i < 4; i += 1) {
      void (async () => {
        while (load.runs) {
          await echo({ ...place, bytes: 100_000 }).catch(() => delay(5));
        }
      })();
    }
  },
  rest(): void {
    load.runs = false;
  },
};

/** What this program can be asked. */
export type PeerHandlers = typeof handlers;

serve(handlers);
