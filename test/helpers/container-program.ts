// container-program.ts: the process that a test's container consists of. It lives in a network
// namespace of its own, of which it sets up the loopback interface, and runs servers when told to.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { binding } from '../../src/engine/binding.js';
import { serve } from './rpc.js';
import { nextText } from './tcp-client.js';
import { TcpServer, type TcpSeen, type TcpServerOptions } from './tcp-server.js';
import { UdpSocket, type UdpSocketOptions } from './udp-socket.js';
import { within } from './wait.js';

/** A datagram, as the server that received it tells of it. */
export interface UdpSeen {
  readonly bytes: number;
  readonly sha256: string;
  readonly from: string;
}

/** A datagram to be sent. */
export interface UdpQuestion {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly bytes?: number;
}

/** The first datagram that came back. */
export interface UdpAnswer {
  readonly address: string;
  readonly port: number;
  readonly bytes: number;
}

const failure = binding.setInterfaceUp('lo');
if (failure !== undefined) throw new Error(`${failure.syscall}: ${failure.errno}`);

// Tests hold thousands of connections.
binding.raiseFileLimit();

let lastId = 0;
const tcpServers = new Map<number, TcpServer>();
const udpServers = new Map<number, UdpSocket>();
const clients = new Map<string, Socket>();

/** Where to, and from where. */
interface Where {
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly localPort?: number;
}

function find<T>(servers: Map<number, T>, id: number): T {
  const server = servers.get(id);
  if (server === undefined) throw new Error(`no server ${id}`);
  return server;
}

const handlers = {
  async tcpServe(options: TcpServerOptions): Promise<{ id: number; port: number }> {
    const server = await TcpServer.listen(options);
    tcpServers.set((lastId += 1), server);
    return { id: lastId, port: server.port };
  },
  tcpSeen({ id }: { id: number }): TcpSeen[] {
    return find(tcpServers, id).seen;
  },
  tcpResume({ id }: { id: number }): void {
    find(tcpServers, id).resume();
  },
  tcpClose({ id }: { id: number }): void {
    find(tcpServers, id).close();
    tcpServers.delete(id);
  },
  async udpServe(options: UdpSocketOptions): Promise<{ id: number; port: number }> {
    const socket = await UdpSocket.bind(options);
    udpServers.set((lastId += 1), socket);
    return { id: lastId, port: socket.port };
  },
  udpSeen({ id }: { id: number }): UdpSeen[] {
    return find(udpServers, id).received.map(({ data, address, port }) => ({
      bytes: data.length,
      sha256: createHash('sha256').update(data).digest('hex'),
      from: `${address} ${port}`,
    }));
  },
  /** Sends to whoever sent the last datagram. */
  async udpReply({ id, text }: { id: number; text: string }): Promise<void> {
    const socket = find(udpServers, id);
    const last = socket.received.at(-1);
    if (last === undefined) throw new Error('nobody to reply to');
    await socket.send(text, last.port, last.address);
  },
  /** Sends from this side and tells who answered. */
  async udpAsk({ from, to, port, bytes = 14 }: UdpQuestion): Promise<UdpAnswer> {
    using socket = await UdpSocket.bind({ address: from });
    const answer = await socket.ask(Buffer.alloc(bytes, 'a'), port, to);
    return { address: answer.address, port: answer.port, bytes: answer.data.length };
  },
  /** Sends many at once, and waits for no answer. */
  async udpFlood({
    count,
    from,
    to,
    port,
    bytes = 14,
  }: UdpQuestion & { count: number }): Promise<void> {
    using socket = await UdpSocket.bind({ address: from });
    const data = Buffer.alloc(bytes, 'f');
    await Promise.all(Array.from({ length: count }, () => socket.send(data, port, to)));
  },
  /** Sends from a server's own socket to anyone. */
  async udpSend({ id, text, ...to }: Where & { id: number; text: string }): Promise<void> {
    await find(udpServers, id).send(text, to.port, to.address);
  },
  /** Opens a connection as a client, which stays open; what the server says first. */
  async tcpOpen({ id, ...where }: Where & { id: string }): Promise<string> {
    const socket = createConnection({ host: where.address, ...where, family: 0 });
    clients.set(id, socket);
    await within(once(socket, 'connect'), `a connection to ${where.address} port ${where.port}`);
    socket.on('error', () => undefined);
    return nextText(socket);
  },
  tcpEnd({ id }: { id: string }): void {
    clients.get(id)?.destroy();
    clients.delete(id);
  },
  udpClose({ id }: { id: number }): void {
    find(udpServers, id).close();
    udpServers.delete(id);
  },
  /** Runs a command in the namespace; its output. */
  run({ command }: { command: readonly string[] }): string {
    const [file = '', ...args] = command;
    return execFileSync(file, args, { encoding: 'utf8' });
  },
};

/** What the container serves to the test. */
export type ContainerApi = typeof handlers;

serve(handlers);
