// container-process.ts: runs inside the demo's container: an HTTP server on 127.0.0.1 port 80, in a
// network namespace that has only a loopback interface.

import { readlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { setInterfaceUp } from '../system.js';
import { CONTAINER_PORT, quietPaths, type ContainerMessage } from './container-messages.js';

const CHUNK = Buffer.alloc(1 << 20, 'spliceport ');

const netns = readlinkSync('/proc/self/ns/net');

function tell(message: ContainerMessage): void {
  process.send?.(message);
}

function* chunks(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    yield CHUNK.subarray(0, Math.min(left, CHUNK.length));
  }
}

function sendBytes(response: ServerResponse, bytes: number): void {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes,
    connection: 'close',
  });
  // A client may disconnect early.
  pipeline(Readable.from(chunks(bytes)), response, () => undefined);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '/';
  const client = `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? 0}`;
  if (!quietPaths.some((path) => url.startsWith(path))) {
    tell({
      kind: 'request',
      line: `${request.method ?? ''} ${url}`,
      client,
      agent: request.headers['user-agent'] ?? '',
    });
  }
  const bytes = Number(/^\/bytes\/(\d+)$/.exec(url)?.[1] ?? 0);
  if (bytes > 0) {
    sendBytes(response, bytes);
    return;
  }
  response.setHeader('content-type', 'text/plain');
  response.end(
    `Hello from ${netns}, which has no interface but its loopback.\n` +
      `Here you are ${client}: the connection was made from within.\n`,
  );
}

setInterfaceUp('lo');
const server = createServer(answer);
server.on('error', (error) => {
  throw error;
});
server.listen(CONTAINER_PORT, '127.0.0.1', () => tell({ kind: 'listening', netns }));

// Ctrl-C reaches every process of the terminal. The demo must close the forward first, and then
// stops this process.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
