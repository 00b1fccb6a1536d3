// unix-listener.ts: accepts clients at a unix socket of this user's. Whatever fails costs one client at most: what listens is
// part of processes that others rely on.

import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import { acceptUnix, peerCredentials, receive, watchFd, type FdWatcher } from './system.js';
import { fileIdentity } from './util.js';

/** How long accepting pauses when it fails, as for want of descriptors or of watches. */
const REST_MS = 100;
/** How long a refused client may take to send its request and read the answer. */
const LINGER_MS = 1_000;
/** Further ones are let go at once. */
const MAX_LINGERING = 16;
const CHUNK_BYTES = 64 * 1024;

let lingering = 0;

/** What becomes of clients. Both take the descriptor over, and never throw. */
export interface Reception {
  /** This user, or root. */
  serve(fd: number): void;
  /** Another user, or one who cannot be told. */
  refuse(fd: number, reason: string): void;
}

/** Accepts until it is closed. */
export class UnixListener {
  readonly #fd: number;
  readonly #reception: Reception;
  readonly #keepsAlive: boolean;
  #watcher: FdWatcher | undefined;
  #isOpen = true;

  /**
   * Begins.
   * @param fd - Listens. Taken over, unless this throws.
   * @param keepsAlive - Whether the process lives on for it.
   * @throws SpliceportSystemError such as `ENOSPC` where no watch is left
   */
  constructor(fd: number, reception: Reception, keepsAlive: boolean) {
    this.#fd = fd;
    this.#reception = reception;
    this.#keepsAlive = keepsAlive;
    this.#watch();
  }

  /** Accepts nobody any more; may be called twice. */
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
    if (fd === undefined) return;
    const stranger = strangerAt(fd);
    if (stranger === undefined) this.#reception.serve(fd);
    else this.#reception.refuse(fd, stranger);
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

/** Tells the file of a socket from one that takes its name later; undefined when there is none. */
export function identityOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && fileIdentity(stats);
}

/** Removes the file of a socket, unless it is another's by now. What cannot be looked at is not removed. */
export function removeOwnFile(path: string, identity: string | undefined): void {
  try {
    if (identity !== undefined && identityOf(path) === identity) unlinkSync(path);
  } catch {
    // It is gone, and perhaps the folder with it.
  }
}

/** The user that this process acts as, by the numbers of its own user namespace. */
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
 * Closes a connection whose client has its answer, but first waits for the request: what is closed with one unread is reset,
 * and the client may never see the answer.
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
