// host-sockets.ts: sockets in the machine's network namespace, for a test that runs outside of it.

import { fork, type ChildProcess } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { bundle } from '../../helpers/program.js';
import { within } from '../../helpers/wait.js';
import type { Protocol } from '../../../src/types/endpoints.js';
import type { SocketReply, SocketRequest } from './socket-agent.js';

const source = new URL('socket-agent.ts', import.meta.url);

/** Where a client connects. */
export interface Where {
  /** Default: `127.0.0.1`. */
  readonly address?: string;
  readonly port: number;
  /** The client's own address. */
  readonly from?: string;
}

/** Makes sockets in a network namespace, one at a time. */
export class HostSockets {
  readonly #agent: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  /** Of the namespace that the process `pid` lives in. */
  constructor(pid: number) {
    this.#agent = fork(bundle(source), [], {
      execPath: 'nsenter',
      execArgv: ['--target', String(pid), '--net', '--', process.execPath],
    });
  }

  /**
   * A connected socket, not yet read from, that keeps its own half open when the other ends.
   * @throws Error with the `code` of the failed connect.
   */
  async connect({ address = '127.0.0.1', port, from }: Where): Promise<Socket> {
    const socket = (await this.#ask({
      kind: 'connect',
      address,
      port,
      ...(from !== undefined && { from }),
    })) as Socket;
    socket.allowHalfOpen = true;
    socket.on('error', () => undefined); // The tests look at how a connection ends, not at this.
    return socket;
  }

  /** A bound UDP socket. */
  async udp(address = '127.0.0.1', port = 0): Promise<UdpSocket> {
    return (await this.#ask({ kind: 'udp', address, port })) as UdpSocket;
  }

  /** A listening socket, as another program of the host may have. */
  async listen(address: string, port: number): Promise<Server> {
    return (await this.#ask({ kind: 'listen', address, port })) as Server;
  }

  /** Whether a port can be bound; without an address, on all of both families. */
  async isFree(port: number, protocol: Protocol = 'tcp', address = '::'): Promise<boolean> {
    try {
      await this.#bind(port, protocol, address);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
      throw error;
    }
  }

  /** The first of `count` consecutive ports that nobody has for either protocol. */
  async freePorts(count = 1): Promise<number> {
    for (;;) {
      const first = await this.#bind(0, 'tcp');
      const ports = Array.from({ length: count }, (_, index) => first + index);
      const free: boolean[] = [];
      for (const port of ports) {
        free.push((await this.isFree(port)) && (await this.isFree(port, 'udp')));
      }
      if (first + count < 65_536 && free.every(Boolean)) return first;
    }
  }

  close(): void {
    if (this.#agent.connected) this.#agent.disconnect();
  }

  async #bind(port: number, protocol: Protocol, address = '::'): Promise<number> {
    const make = protocol === 'tcp' ? this.listen(address, port) : this.udp(address, port);
    const socket = await make;
    const bound = socket.address() as { port: number };
    socket.close();
    await once(socket, 'close');
    return bound.port;
  }

  #ask(request: SocketRequest): Promise<unknown> {
    const answer = this.#last.then(async () => {
      this.#agent.send(request);
      const what = `${request.kind} on ${request.address} port ${request.port}`;
      const reply = once(this.#agent, 'message') as Promise<[SocketReply, unknown]>;
      const [{ code }, socket] = await within(reply, what);
      if (code !== undefined) throw Object.assign(new Error(`${what}: ${code}`), { code });
      return socket;
    });
    this.#last = answer.catch(() => undefined);
    return answer;
  }
}
