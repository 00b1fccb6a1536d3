// fake-resident.ts: a resident within the test: it listens where shims look for one, and says what
// the test has it say.

import { once } from 'node:events';
import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { sendWithFds } from '../../../src/system.js';
import { within } from '../../helpers/wait.js';
import type { ShimFolder } from './shim-folder.js';
import {
  frame,
  FrameCutter,
  Packer,
  readAnswer,
  readHello,
  readySection,
  type Answer,
  type Hello,
  type ReceivedFrame,
} from './shim-frames.js';

/** A shim's connection with the resident. */
export class ShimConnection {
  /** Settles at its end. */
  readonly ended: Promise<unknown>;
  readonly #socket: Socket;
  readonly #frames: ReceivedFrame[] = [];
  #wake: () => void = () => undefined;
  #seq = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    const cutter = new FrameCutter();
    socket
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        this.#frames.push(...cutter.push(chunk));
        this.#wake();
      });
    this.ended = once(socket, 'close');
  }

  /** The first frame of this kind that has not been taken. */
  async next(kind: string): Promise<Buffer> {
    return within(this.#next(kind), `a frame ${kind}`);
  }

  async #next(kind: string): Promise<Buffer> {
    for (;;) {
      const index = this.#frames.findIndex((each) => each.kind === kind);
      const [found] = index === -1 ? [] : this.#frames.splice(index, 1);
      if (found !== undefined) return found.payload;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** What kinds of frames have come and not been taken. */
  kinds(): string[] {
    return this.#frames.map(({ kind }) => kind);
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends a listening socket and its folder with a request. */
  async pass(fds: readonly number[], ...sections: readonly Buffer[]): Promise<Answer> {
    this.#seq += 1;
    const payload = Buffer.concat([new Packer().u32(this.#seq).done(), ...sections]);
    const bytes = frame('r', payload, fds.length);
    // A socket of node's sends no descriptors.
    const { _handle } = this.#socket as unknown as { readonly _handle: { readonly fd: number } };
    if (sendWithFds(_handle.fd, bytes, fds) !== bytes.length) throw new Error('no room');
    return readAnswer(await this.next('k'));
  }

  /** Says that it is there, and hears who calls. */
  async greet(): Promise<Hello> {
    this.write(frame('a', new Packer().bytes('0.0.0').done()));
    return readHello(await this.next('H'));
  }

  async request(...sections: readonly Buffer[]): Promise<Answer> {
    this.send(...sections);
    return readAnswer(await this.next('k'));
  }

  /** The same, without waiting for an answer. */
  send(...sections: readonly Buffer[]): void {
    this.#seq += 1;
    this.write(frame('r', Buffer.concat([new Packer().u32(this.#seq).done(), ...sections])));
  }

  /** Has the shim report ready. */
  ready(): Promise<Answer> {
    return this.request(readySection());
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The listening resident. */
export class FakeResident {
  readonly #server: Server;
  readonly #waiting: ShimConnection[] = [];
  readonly #all = new Set<ShimConnection>();
  #wake: () => void = () => undefined;

  private constructor(server: Server) {
    this.#server = server.on('connection', (socket) => {
      const connection = new ShimConnection(socket);
      this.#all.add(connection);
      this.#waiting.push(connection);
      this.#wake();
    });
  }

  static async listen(folder: ShimFolder): Promise<FakeResident> {
    const { resident, publish } = await FakeResident.#hidden(folder);
    publish();
    return resident;
  }

  /** Listens while shims may start residents of their own, until the first has come here. */
  static async takeOver(folder: ShimFolder): Promise<FakeResident> {
    const { resident, publish } = await FakeResident.#hidden(folder);
    publish();
    const timer = setInterval(() => {
      if (resident.#all.size > 0) clearInterval(timer);
      else publish();
    }, 10);
    return resident;
  }

  /** Nobody finds it before it is published. */
  static async #hidden(folder: ShimFolder) {
    mkdirSync(folder.residentFolder, { recursive: true, mode: 0o700 });
    const server = createServer();
    const resident = new FakeResident(server);
    const [hidden, next] = [`${folder.socket}.fake`, `${folder.socket}.next`];
    rmSync(hidden, { force: true });
    server.listen(hidden);
    await once(server, 'listening');
    // As shims do it: whatever has the name is replaced.
    const publish = (): void => {
      linkSync(hidden, next);
      renameSync(next, folder.socket);
      // If both names are of one file already, rename(2) does nothing.
      rmSync(next, { force: true });
    };
    return { resident, publish };
  }

  /** The next shim that has connected. */
  connection(): Promise<ShimConnection> {
    return within(this.#connection(), 'a connection of a shim');
  }

  async #connection(): Promise<ShimConnection> {
    for (;;) {
      const connection = this.#waiting.shift();
      if (connection !== undefined) return connection;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The next shim that has connected and been greeted. */
  async greeted(): Promise<{ readonly connection: ShimConnection; readonly hello: Hello }> {
    const connection = await this.connection();
    return { connection, hello: await connection.greet() };
  }

  /** Ends like a process: the socket's file stays, as it does after a kill. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#all) connection.close();
    await closed;
  }
}
