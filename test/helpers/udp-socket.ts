// udp-socket.ts: a UDP socket that keeps what it received. Runs on both sides.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { until } from './wait.js';

/** A received datagram. */
export interface Datagram {
  readonly data: Buffer;
  readonly address: string;
  readonly port: number;
}

export interface UdpSocketOptions {
  /** Address to bind. Default: `127.0.0.1`. */
  readonly address?: string;
  readonly port?: number;
  /** Sends each datagram back where it came from. */
  readonly echo?: boolean;
}

/** A bound UDP socket. */
export class UdpSocket {
  readonly received: Datagram[] = [];
  readonly #socket: Socket;
  readonly #echo: boolean;

  private constructor(options: UdpSocketOptions) {
    const type = options.address?.includes(':') === true ? 'udp6' : 'udp4';
    this.#echo = options.echo ?? false;
    this.#socket = createSocket({ type, recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
    this.#socket.on('message', (data, from) => this.#take(data, from));
  }

  static async bind(options: UdpSocketOptions = {}): Promise<UdpSocket> {
    const udp = new UdpSocket(options);
    udp.#socket.bind(options.port ?? 0, options.address ?? '127.0.0.1');
    await once(udp.#socket, 'listening');
    return udp;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Settles when the kernel has taken it. */
  send(data: string | Uint8Array, port: number, address = '127.0.0.1'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(data, port, address, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Removes and gives the oldest received datagram, once there is one. */
  async next(withinMs = 5_000): Promise<Datagram> {
    return until(() => this.received.shift(), 'a datagram arrives', withinMs);
  }

  /** Sends one datagram and gives the next that arrives. */
  async ask(data: string | Uint8Array, port: number, address = '127.0.0.1'): Promise<Datagram> {
    await this.send(data, port, address);
    return this.next();
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(data: Buffer, from: RemoteInfo): void {
    this.received.push({ data, address: from.address, port: from.port });
    if (this.#echo) this.#socket.send(data, from.port, from.address);
  }
}
