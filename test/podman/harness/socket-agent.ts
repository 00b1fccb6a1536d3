// socket-agent.ts: runs in the machine's network namespace, makes sockets there and hands them to
// the test, which then owns them: a socket stays in the namespace that it was made in.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';

/** What the test asks for. */
export type SocketRequest =
  | {
      readonly kind: 'connect';
      readonly address: string;
      readonly port: number;
      readonly from?: string;
    }
  | { readonly kind: 'listen'; readonly address: string; readonly port: number }
  | { readonly kind: 'udp'; readonly address: string; readonly port: number };

/** The answer; the socket itself travels beside it. */
export interface SocketReply {
  /** Code of the error, such as `ECONNREFUSED`. */
  readonly code?: string;
}

async function connect(address: string, port: number, from?: string): Promise<void> {
  const socket = new Socket({ allowHalfOpen: true });
  // A paused socket does not begin to read, so that no byte is lost between here and the test.
  socket.pause();
  socket.connect({
    host: address,
    port,
    noDelay: true,
    ...(from !== undefined && { localAddress: from }),
  });
  await once(socket, 'connect');
  process.send?.({}, socket);
}

async function listen(address: string, port: number): Promise<void> {
  const server = createServer().listen({ host: address, port, exclusive: true });
  await once(server, 'listening');
  process.send?.({}, server, {}, () => server.close());
}

async function bindUdp(address: string, port: number): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind({ address, port, exclusive: true });
  await once(socket, 'listening');
  process.send?.({}, socket, {}, () => socket.close());
}

function make(request: SocketRequest): Promise<void> {
  switch (request.kind) {
    case 'connect':
      return connect(request.address, request.port, request.from);
    case 'listen':
      return listen(request.address, request.port);
    case 'udp':
      return bindUdp(request.address, request.port);
  }
}

process.on('message', (request: SocketRequest) => {
  make(request).catch((error: unknown) => {
    const reply: SocketReply = { code: (error as NodeJS.ErrnoException).code ?? String(error) };
    process.send?.(reply);
  });
});
process.on('disconnect', () => process.exit());
