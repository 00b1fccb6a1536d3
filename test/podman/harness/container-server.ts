// container-server.ts: runs in a container, on node. Arguments are services: digest:PORT,
// whoami:PORT, udp:PORT, where PORT may be a range. Prints a line when all of them are bound.
//   digest  sends back what it gets, and at the client's FIN the SHA-256 of it and its own FIN
//   whoami  sends the client's address and closes udp     sends datagrams back; for the text
//   `digest` the SHA-256 of a client's datagrams since the last such
//           question, for `whoami` and `port` the client's address, which is also printed with its
//           port, and its port

import { createHash, type Hash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

const plainAddress = (address = ''): string => address.replace(/^::ffff:/, '');

function digest(socket: Socket): void {
  const hash = createHash('sha256');
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    if (socket.write(chunk)) return;
    socket.pause();
    socket.once('drain', () => socket.resume());
  });
  socket.on('end', () => socket.end(hash.digest('hex')));
}

async function tcp(port: number, handle: (socket: Socket) => void): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    handle(socket);
  });
  server.listen({ host: '::', port });
  await once(server, 'listening');
}

async function udp(port: number): Promise<void> {
  const socket = createSocket({ type: 'udp6', recvBufferSize: 1 << 20 });
  const clients = new Map<string, Hash>();
  socket.on('message', (data, { address, port: from }) => {
    const client = `${address} ${from}`;
    const text = data.length < 10 ? data.toString() : '';
    let reply: string | Buffer = data;
    if (text === 'whoami') {
      reply = plainAddress(address);
      console.log(`asked by ${plainAddress(address)} ${from}`);
    } else if (text === 'port') {
      reply = String(from);
    } else if (text === 'digest') {
      reply = clients.get(client)?.digest('hex') ?? 'nothing';
      clients.delete(client);
    } else {
      const hash = clients.get(client) ?? createHash('sha256');
      clients.set(client, hash.update(data));
    }
    socket.send(reply, from, address);
  });
  socket.bind(port, '::');
  await once(socket, 'listening');
}

function serve(service: string, port: number): Promise<void> {
  if (service === 'udp') return udp(port);
  if (service === 'digest') return tcp(port, digest);
  return tcp(port, (socket) => socket.end(plainAddress(socket.remoteAddress)));
}

for (const argument of process.argv.slice(2)) {
  const [service = '', ports = ''] = argument.split(':');
  const [first = 0, last = first] = ports.split('-').map(Number);
  for (let port = first; port <= last; port += 1) await serve(service, port);
}
console.log('serving');
// Process 1 of a container gets no signal that it has not asked for.
process.on('SIGTERM', () => process.exit());
