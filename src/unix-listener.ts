// unix-listener.ts: accepts clients on a Unix socket of this user. A failure costs at most one
// client, because others rely on the process.

import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import { acceptUnix, peerCredentials, receive, watchFd, type FdWatcher } from './system.js';
import { fileIdentity } from './util.js';

/** How long accepting pauses after a failure, such as a lack of descriptors or watches. */
const REST_MS = 100;
/** How long a rejected client may take to send its request and read the answer. */
const LINGER_MS = 1_000;
/** Further ones are closed at once. */
const MAX_LINGERING = 16;
const CHUNK_BYTES = 64 * 1024;

let lingering = 0;

/** Handlers of clients. Both take over the descriptor, and never throw. */
export interface Reception {
  /** This user, or root. */
  serve(fd: number): void;
  /** Another user, or an unknown one. */
  refuse(fd: number, reason: string): void;
}

/** Accepts clients until it is closed. */
export class UnixListener {
  readonly #fd: number;
  readonly #reception: Reception;
  readonly #keepsAlive: boolean;
  #watcher: FdWatcher | undefined;
  #isOpen = true;

  /**
   * Starts.
   * @param fd - The listening socket. Taken over, unless this throws.
   * @param keepsAlive - Whether it keeps the process alive.
   * @throws SpliceportSystemError such as `ENOSPC` if no watch is left
   */
  constructor(fd: number, reception: Reception, keepsAlive: boolean) {
    this.#fd = fd;
    this.#reception = reception;
    this.#keepsAlive = keepsAlive;
    this.#watch();
  }

  /** Stops accepting; may be called twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watcher?.close();
    closeSync(this.#fd);
  }

  #watch(): void {
    this.#watcher = watchFd(this.#fd, () => this.#acceptOne());
    if (!this.#keepsAlive) this.#watcher.unref();
  }

  #acceptOne(): void {
    let fd: number | undefined;
    try {
      fd = acceptUnix(this.#fd);
    } catch {
      // The client stays in the queue, and the socket readable: without a pause this would spin.
      this.#watcher?.close();
      this.#watchLater();
      return;
    }
    if (fd !== undefined) receiveClient(fd, this.#reception);
  }

  #watchLater(): void {
    const timer = setTimeout(() => {
      if (!this.#isOpen) return;
      try {
        this.#watch();
      } catch {
        this.#watchLater();
      }
    }, REST_MS);
    if (!this.#keepsAlive) timer.unref();
  }
}

/**
 * Has a client served, or refused where it is not this user's and not root's.
 * @param fd - Taken over.
 */
export function receiveClient(fd: number, reception: Reception): void {
  const stranger = strangerAt(fd);
  if (stranger === undefined) reception.serve(fd);
  else reception.refuse(fd, stranger);
}

/** Tells the file of a socket from one that takes its name later; undefined when there is none. */
export function identityOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && fileIdentity(stats);
}

/**
 * Removes the file of a socket, unless it is another's by now. A file that stat(2) fails for stays.
 */
export function removeOwnFile(path: string, identity: string | undefined): void {
  try {
    if (identity !== undefined && identityOf(path) === identity) unlinkSync(path);
  } catch {
    // It is gone, perhaps with its folder.
  }
}

/** The effective user id of this process, in its own user namespace. */
export function effectiveUid(): number {
  return process.geteuid?.() ?? 0;
}

/** Why a client must not be served; undefined for this user and root. */
function strangerAt(fd: number): string | undefined {
  try {
    const { uid } = peerCredentials(fd);
    const own = effectiveUid();
    if (uid === own || uid === 0) return undefined;
    return `this socket is for user ${own} and root, and you are user ${uid}`;
  } catch (error) {
    return `it cannot be told who you are: ${String(error)}`;
  }
}

/**
 * Closes a connection whose answer has been sent, but first reads the request: closing with unread
 * data resets the connection, and the client may never see the answer.
 * @param fd - Taken over.
 */
export function linger(fd: number): void {
  if (lingering >= MAX_LINGERING) {
    closeSync(fd);
    return;
  }
  const end = () => {
    lingering -= 1;
    clearTimeout(timer);
    watcher.close();
    closeSync(fd);
  };
  let watcher: FdWatcher;
  try {
    watcher = watchFd(fd, () => {
      discard(fd);
      end();
    });
  } catch {
    closeSync(fd);
    return;
  }
  lingering += 1;
  watcher.unref();
  const timer = setTimeout(end, LINGER_MS).unref();
}

function discard(fd: number): void {
  try {
    receive(fd, CHUNK_BYTES);
  } catch {
    // It is closed anyway.
  }
}
