// reload-socket.ts: the unix socket through which Podman tells that a container has a new address.
// A client sends one request, gets one reply, and is let go; none of them can hold up another.

import { closeSync, constants, fchmodSync, fstatSync, openSync, unlinkSync } from 'node:fs';
import {
  listenUnix,
  receive,
  send,
  watchFd,
  type FdWatcher,
  type UnixSocketType,
} from '../../system.js';
import {
  effectiveUid,
  identityOf,
  linger,
  removeOwnFile,
  UnixListener,
} from '../../unix-listener.js';

const MAX_REQUEST_BYTES = 4_096;
const MAX_REPLY_BYTES = 512;
const CLIENT_TIMEOUT_MS = 2_000;
/** One more, and the one that came first is let go. */
const MAX_CLIENTS = 16;

/** A JSON string, or a line of anything else. */
const REQUEST = /^\s*(?:"(?:[^"\\]|\\.)*"|\S[^\n]*\n)/s;

/** The reply to a request. Never fails. */
export type Answer = (request: string) => Promise<string>;

/** A socket that listens under its name. */
export interface ReloadFile {
  readonly type: UnixSocketType;
  readonly fd: number;
  readonly folderFd: number;
  readonly path: string;
}

/**
 * Makes a socket, which takes the place of what has the name now.
 * @param folderFd - Taken over, unless this throws.
 */
export function makeReloadFile(type: UnixSocketType, folderFd: number, name: string): ReloadFile {
  const path = `/proc/self/fd/${folderFd}/${name}`;
  removeFile(path);
  return { type, fd: listenUnix(type, folderFd, name), folderFd, path };
}

/** The listening socket, to the removal of its file. */
export class ReloadSocket {
  readonly #file: ReloadFile;
  readonly #answer: Answer;
  readonly #identity: string | undefined;
  readonly #listener: UnixListener;
  readonly #clients = new Set<ReloadClient>();

  /** @param file - Taken over; but for its folder, which stays open when this throws. */
  constructor(file: ReloadFile, answer: Answer) {
    this.#file = file;
    this.#answer = answer;
    try {
      this.#identity = identityOf(file.path);
      this.#listener = new UnixListener(file.fd, this, true);
    } catch (error) {
      removeFile(file.path);
      closeSync(file.fd);
      throw error;
    }
  }

  /** Removes the file, unless it is another's by now, and lets everyone go. */
  close(): void {
    this.#listener.close();
    for (const client of this.#clients) client.end();
    removeOwnFile(this.#file.path, this.#identity);
    closeSync(this.#file.folderFd);
  }

  serve(fd: number): void {
    const [oldest] = this.#clients;
    if (this.#clients.size >= MAX_CLIENTS) oldest?.end();
    try {
      const client = new ReloadClient(fd, this.#file.type, this.#answer, () => {
        this.#clients.delete(client);
      });
      this.#clients.add(client);
    } catch {
      // There is no watch left for it.
      closeSync(fd);
    }
  }

  refuse(fd: number, reason: string): void {
    try {
      send(fd, Buffer.from(reason));
    } catch {
      // It does not wait for the answer.
    }
    linger(fd);
  }
}

/**
 * Opens the folder for the socket. One of this user's that others may look into is closed to them:
 * it is for nothing else.
 * @param name - What messages call it.
 * @returns A descriptor that the caller closes.
 * @throws Error where it is another user's, or a link
 */
export function openOwnFolder(folder: string, name = folder): number {
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
  const fd = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const { uid, mode } = fstatSync(fd);
    if (uid !== effectiveUid()) throw new Error(`the folder ${name} is another user's`);
    if ((mode & 0o077) !== 0) fchmodSync(fd, 0o700);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
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
    try {
      const reply = replyOf(await this.#answer(request));
      if (!this.#hasEnded) send(this.#fd, reply);
    } catch {
      // It left early, or does not read.
    }
    this.end();
  }
}

/** An answer as it is sent, cut where it is too long. */
export function replyOf(text: string): Uint8Array {
  const reply = new Uint8Array(MAX_REPLY_BYTES);
  return reply.subarray(0, new TextEncoder().encodeInto(text, reply).written);
}

/** Removes it, if it is there. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // There is none, or listening will tell what is in the way.
  }
}
