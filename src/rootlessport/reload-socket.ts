// reload-socket.ts: the unix socket through which Podman tells that a container has a new address. A client sends one
// request, gets one reply, and is let go; none of them can hold up another.

import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import {
  acceptUnix,
  listenUnix,
  receive,
  send,
  watchFd,
  type FdWatcher,
  type UnixSocketType,
} from '../system.js';

const MAX_REQUEST_BYTES = 4_096;
const MAX_REPLY_BYTES = 512;
const CLIENT_TIMEOUT_MS = 2_000;
/** One more, and the one that came first is let go. */
const MAX_CLIENTS = 16;
/** How long accepting pauses when descriptors have run out. */
const ACCEPT_REST_MS = 100;

/** A JSON string, or a line of anything else. */
const REQUEST = /^\s*(?:"(?:[^"\\]|\\.)*"|\S[^\n]*\n)/s;

/** The reply to a request. Never fails. */
export type Answer = (request: string) => Promise<string>;

/** The listening socket, from its making to the removal of its file. */
export class ReloadSocket {
  readonly #type: UnixSocketType;
  readonly #path: string;
  readonly #answer: Answer;
  readonly #fd: number;
  readonly #identity: string | undefined;
  readonly #clients = new Set<ReloadClient>();
  #watcher: FdWatcher | undefined;

  /**
   * Takes the place of what has the name now.
   * @param folderFd - Stays open as long as the socket.
   */
  constructor(type: UnixSocketType, folderFd: number, name: string, answer: Answer) {
    this.#type = type;
    this.#answer = answer;
    this.#path = `/proc/self/fd/${folderFd}/${name}`;
    removeFile(this.#path);
    this.#fd = listenUnix(type, folderFd, name);
    this.#identity = identityOf(this.#path);
    this.#watch();
  }

  /** Removes the file, unless it is another's by now, and stops listening. */
  close(): void {
    if (this.#identity !== undefined && identityOf(this.#path) === this.#identity) {
      removeFile(this.#path);
    }
    this.#watcher?.close();
    closeSync(this.#fd);
  }

  #watch(): void {
    this.#watcher = watchFd(this.#fd, () => this.#acceptOne());
  }

  #acceptOne(): void {
    let fd: number | undefined;
    try {
      fd = acceptUnix(this.#fd);
    } catch {
      // The client stays in the queue, and the socket readable: without a rest this would spin.
      this.#watcher?.close();
      setTimeout(() => this.#watch(), ACCEPT_REST_MS);
      return;
    }
    if (fd === undefined) return;
    const [oldest] = this.#clients;
    if (this.#clients.size >= MAX_CLIENTS) oldest?.end();
    const client = new ReloadClient(fd, this.#type, this.#answer, () => {
      this.#clients.delete(client);
    });
    this.#clients.add(client);
  }
}

class ReloadClient {
  readonly #fd: number;
  readonly #type: UnixSocketType;
  readonly #answer: Answer;
  readonly #onEnd: () => void;
  readonly #watcher: FdWatcher;
  readonly #timer: NodeJS.Timeout;
  #request = '';
  #hasEnded = false;

  constructor(fd: number, type: UnixSocketType, answer: Answer, onEnd: () => void) {
    this.#fd = fd;
    this.#type = type;
    this.#answer = answer;
    this.#onEnd = onEnd;
    this.#watcher = watchFd(fd, () => this.#read());
    this.#timer = setTimeout(() => this.end(), CLIENT_TIMEOUT_MS);
  }

  /** Lets the client go. May be called twice. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#watcher.close();
    closeSync(this.#fd);
    this.#onEnd();
  }

  #read(): void {
    let chunk: Buffer | undefined;
    try {
      chunk = receive(this.#fd, MAX_REQUEST_BYTES + 1);
    } catch {
      this.end();
      return;
    }
    if (chunk === undefined) return;
    // As bytes, because a piece may end within a character.
    this.#request += chunk.toString('latin1');
    const isLast =
      chunk.length === 0 || this.#type === 'seqpacket' || this.#request.length > MAX_REQUEST_BYTES;
    const request = REQUEST.exec(this.#request)?.[0] ?? (isLast ? this.#request : undefined);
    if (request === '') this.end();
    else if (request !== undefined) void this.#reply(Buffer.from(request, 'latin1').toString());
  }

  async #reply(request: string): Promise<void> {
    this.#watcher.close();
    const reply = new Uint8Array(MAX_REPLY_BYTES);
    const { written } = new TextEncoder().encodeInto(await this.#answer(request), reply);
    if (this.#hasEnded) return;
    try {
      send(this.#fd, reply.subarray(0, written));
    } catch {
      // It left early, or does not read.
    }
    this.end();
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // There is none, or listening will tell what is in the way.
  }
}

function identityOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}
