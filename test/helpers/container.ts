// container.ts: a throw-away container, which is a network namespace and a process in it that runs
// servers.

import { readlinkSync } from 'node:fs';
import type { ContainerApi, UdpAnswer, UdpQuestion, UdpSeen } from './container-program.js';
import { Program } from './program.js';
import type { TcpBehavior, TcpSeen, TcpServerOptions } from './tcp-server.js';
import type { UdpSocketOptions } from './udp-socket.js';
import { until } from './wait.js';

const source = new URL('./container-program.ts', import.meta.url);

/** A server in the container. */
export interface TcpService {
  readonly port: number;
  /** Every connection since the start, oldest first. */
  seen(): Promise<TcpSeen[]>;
  /** The only connection, once `condition` holds for it. */
  seenOnce(condition: (seen: TcpSeen) => boolean, what: string): Promise<TcpSeen>;
  /** Lets connections of a `hold` server read on. */
  resume(): Promise<void>;
  /** Stops listening and resets what is open. */
  close(): Promise<void>;
}

/** A UDP socket in the container. */
export interface UdpService {
  readonly port: number;
  /** Every datagram since the start, oldest first. */
  seen(): Promise<UdpSeen[]>;
  /** {@link UdpService.seen}, once there are `count`. */
  seenCount(count: number): Promise<UdpSeen[]>;
  /** Sends to whoever sent the last datagram. */
  reply(text: string): Promise<void>;
  send(text: string, to: { readonly address: string; readonly port: number }): Promise<void>;
  close(): Promise<void>;
}

/** A network namespace with a loopback interface and nothing else. Needs CAP_SYS_ADMIN. */
export class Container {
  readonly #program = new Program(source, { ownNetns: true });
  readonly #api = this.#program.api<ContainerApi>();

  static async start(): Promise<Container> {
    const container = new Container();
    // A first answer proves that the namespace is made and its interface is up.
    await container.#program.call('run', { command: ['true'] });
    if (readlinkSync(`/proc/${container.pid}/ns/net`) === readlinkSync('/proc/self/ns/net')) {
      throw new Error('the container has no namespace of its own');
    }
    return container;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** For {@link ForwardSpec.netns}. */
  get netns(): { readonly pid: number } {
    return { pid: this.pid };
  }

  async tcp(
    behavior: TcpBehavior,
    where: Omit<TcpServerOptions, 'behavior'> = {},
  ): Promise<TcpService> {
    const api = this.#api;
    const { id, port } = await api.tcpServe({ behavior, ...where });
    return {
      port,
      seen: () => api.tcpSeen({ id }),
      seenOnce: (condition, what) =>
        until(async () => {
          const [only, ...more] = await api.tcpSeen({ id });
          return only !== undefined && more.length === 0 && condition(only) ? only : undefined;
        }, what),
      resume: () => api.tcpResume({ id }),
      close: () => api.tcpClose({ id }),
    };
  }

  async udp(options: UdpSocketOptions = {}): Promise<UdpService> {
    const api = this.#api;
    const { id, port } = await api.udpServe(options);
    return {
      port,
      seen: () => api.udpSeen({ id }),
      seenCount: (count) =>
        until(async () => {
          const seen = await api.udpSeen({ id });
          return seen.length >= count ? seen : undefined;
        }, `${count} datagrams in the container`),
      reply: (text) => api.udpReply({ id, text }),
      send: (text, to) => api.udpSend({ id, text, ...to }),
      close: () => api.udpClose({ id }),
    };
  }

  /** Sends a datagram from the namespace and tells who answered. */
  askUdp(question: UdpQuestion): Promise<UdpAnswer> {
    return this.#api.udpAsk(question);
  }

  /** Sends `count` datagrams from the namespace at once. */
  async floodUdp(question: UdpQuestion & { readonly count: number }): Promise<void> {
    await this.#api.udpFlood(question);
  }

  /** Connects as a client; what the server says first. The connection stays open until `tcpEnd`. */
  tcpOpen(where: Parameters<ContainerApi['tcpOpen']>[0]): Promise<string> {
    return this.#api.tcpOpen(where);
  }

  tcpEnd(id: string): Promise<void> {
    return this.#api.tcpEnd({ id });
  }

  /** Runs a command in the namespace; its output. */
  run(...command: string[]): Promise<string> {
    return this.#api.run({ command });
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
