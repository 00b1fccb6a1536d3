// tcp-server.ts: TCP servers with a behavior, and what they saw. Runs in the container's program.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { sendPayload } from './payload.js';

/** What a server does with each connection. */
export type TcpBehavior =
  /** Sends back what it reads, and its end. */
  | { readonly kind: 'echo' }
  /** Reads to the end, then answers `<bytes> <sha256>` and ends. */
  | { readonly kind: 'digest' }
  /** As `digest`, but reads nothing before `tcpResume`. */
  | { readonly kind: 'hold' }
  /** Reads to the end and never says a word. */
  | { readonly kind: 'silent' }
  /** Sends a payload and ends, at once or when the client has ended; reads all along. */
  | { readonly kind: 'source'; readonly bytes: number; readonly after?: 'connect' | 'end' }
  /** Sends a text and ends. */
  | { readonly kind: 'greet'; readonly text: string }
  /** Sends the client's address and port, and ends when the client does. */
  | { readonly kind: 'whoami' }
  /** Reads, and resets after the first bytes. */
  | { readonly kind: 'reset' };

export interface TcpServerOptions {
  readonly behavior: TcpBehavior;
  /** Default: `127.0.0.1`. */
  readonly address?: string;
  /** Default: 0, any. */
  readonly port?: number;
}

/** One connection, as its server saw it. */
export interface TcpSeen {
  readonly from: string;
  readonly bytesRead: number;
  /** Of what was read, once it ended. */
  readonly sha256?: string;
  /** Bytes that the kernel took from the server. */
  readonly bytesSent: number;
  /** The client's FIN arrived. */
  readonly ended: boolean;
  readonly closed: boolean;
  /** Code of the error that ended it, such as `ECONNRESET`. */
  readonly errorCode?: string;
}

interface Connection {
  readonly socket: Socket;
  readonly from: string;
  sha256?: string;
  ended: boolean;
  closed: boolean;
  errorCode?: string;
}

/** A listening server. */
export class TcpServer {
  readonly #server: Server;
  readonly #behavior: TcpBehavior;
  readonly #connections: Connection[] = [];

  private constructor(behavior: TcpBehavior) {
    this.#behavior = behavior;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      this.#accept(socket);
    });
  }

  static async listen(options: TcpServerOptions): Promise<TcpServer> {
    const server = new TcpServer(options.behavior);
    const { address: host = '127.0.0.1', port = 0 } = options;
    server.#server.listen({ host, port, backlog: 4096, ipv6Only: host.includes(':') });
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Every connection since the start, oldest first. */
  get seen(): TcpSeen[] {
    return this.#connections.map(({ socket, ...facts }) => ({
      ...facts,
      bytesRead: socket.bytesRead,
      bytesSent: socket.bytesWritten - socket.writableLength,
    }));
  }

  /** Lets connections that are held read on. */
  resume(): void {
    for (const { socket } of this.#connections) socket.resume();
  }

  /** Stops listening and resets what is open. */
  close(): void {
    this.#server.close();
    for (const { socket, closed } of this.#connections) if (!closed) socket.resetAndDestroy();
  }

  #accept(socket: Socket): void {
    const from = `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
    const connection: Connection = { socket, from, ended: false, closed: false };
    this.#connections.push(connection);
    const hash = createHash('sha256');
    socket.on('data', (chunk: Buffer) => hash.update(chunk));
    socket.on('end', () => {
      connection.ended = true;
      connection.sha256 = hash.digest('hex');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (connection.errorCode = error.code ?? ''));
    socket.on('close', () => (connection.closed = true));
    this.#behave(connection);
  }

  #behave(connection: Connection): void {
    const { socket } = connection;
    const behavior = this.#behavior;
    switch (behavior.kind) {
      case 'echo':
        socket.pipe(socket);
        return;
      case 'digest':
      case 'hold':
        socket.on('end', () => socket.end(`${socket.bytesRead} ${connection.sha256 ?? ''}`));
        if (behavior.kind === 'hold') socket.pause();
        else socket.resume();
        return;
      case 'silent':
        socket.resume();
        return;
      case 'source':
        if (behavior.after === 'end') socket.on('end', () => sendAll(socket, behavior.bytes));
        else sendAll(socket, behavior.bytes);
        socket.resume();
        return;
      case 'greet':
        socket.end(behavior.text);
        socket.resume();
        return;
      case 'whoami':
        socket.write(connection.from);
        socket.on('end', () => socket.end()).resume();
        return;
      case 'reset':
        socket.once('data', () => socket.resetAndDestroy());
        socket.resume();
    }
  }
}

function sendAll(socket: Socket, bytes: number): void {
  // A client that leaves early is a fact to report, not a failure of the server.
  sendPayload(socket, bytes).then(
    () => socket.end(),
    () => undefined,
  );
}
