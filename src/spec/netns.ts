// netns.ts: opens the network namespace of a path or a pid; forwards to the same one share it.

import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { SpliceportError, SpliceportSystemError } from '../errors.js';
import { netnsHint } from '../hints.js';
import type { NetnsReference } from '../types/endpoints.js';
import { fileIdentity } from '../util.js';

/** What tells a network namespace from others. */
export interface NetnsIdentity {
  /** Device and inode: the same for every path that leads to one namespace. */
  readonly identity: string;
}

/** A network namespace that is held open, however many forwards lead to it. */
export interface Netns extends NetnsIdentity {
  /** -1 for the process's own. */
  readonly fd: number;
}

/** Checks whether a namespace can be entered; returns the failed call if not. */
export type ProbeNetns = (
  fd: number,
) => { readonly errno: number; readonly syscall: string } | undefined;

/** Stands for the namespace that the process started in; no path has this byte. */
export const OWN_NETNS = '\0';
const OWN_FD = -1;
const OWN_NETNS_PATH = '/proc/self/ns/net';

/** The file that stands for the namespace, for {@link NetnsTable.acquire}. */
export function netnsPath(reference: NetnsReference): string {
  if (reference === 'own') return OWN_NETNS;
  return 'path' in reference ? reference.path : `/proc/${reference.pid}/ns/net`;
}

/** The same for people. */
export function shownNetnsPath(path: string): string {
  return path === OWN_NETNS ? OWN_NETNS_PATH : path;
}

/** {@link Netns.identity} of the namespace that clients connect to; undefined if it is unknown. */
export function hostNetnsIdentity(): string | undefined {
  const stats = statSync('/proc/thread-self/ns/net', { throwIfNoEntry: false });
  return stats && fileIdentity(stats);
}

/** Counts who uses each of the namespaces that are held open. */
export class HeldNetns<N extends NetnsIdentity> {
  readonly #held = new Map<string, { readonly netns: N; users: number }>();

  /** The one with this identity, if it is held. */
  get(identity: string): N | undefined {
    return this.#held.get(identity)?.netns;
  }

  all(): N[] {
    return [...this.#held.values()].map(({ netns }) => netns);
  }

  /** Counts further users; the same namespace as it has been held, or this one from now on. */
  hold(netns: N, users = 1): N {
    const known = this.#held.get(netns.identity);
    if (known === undefined) this.#held.set(netns.identity, { netns, users });
    else known.users += users;
    return known?.netns ?? netns;
  }

  /** Counts so many users less; true if they were the last, and the namespace is to be closed. */
  release(netns: N, users = 1): boolean {
    const entry = this.#held.get(netns.identity);
    if (entry === undefined) return false;
    entry.users -= users;
    return entry.users <= 0 && this.#held.delete(netns.identity);
  }

  /** Forgets all of them. */
  clear(): void {
    this.#held.clear();
  }
}

/**
 * The namespaces of a forwarder: each is opened and probed once, and closed with its last forward.
 *
 * They stay open because a path may later lead to another namespace, or to none, while its forwards
 * are still there.
 */
export class NetnsTable {
  readonly #probe: ProbeNetns;
  readonly #held = new HeldNetns<Netns>();

  constructor(probe: ProbeNetns) {
    this.#probe = probe;
  }

  /**
   * Opens the namespace of every path and counts one user for each of them. All or nothing.
   * @throws SpliceportError `ERR_SPLICEPORT_NETNS_GONE`
   * @throws SpliceportSystemError
   */
  acquire(paths: readonly string[]): Netns[] {
    const byPath = new Map<string, Netns>();
    const acquired: Netns[] = [];
    try {
      for (const path of paths) {
        let netns = byPath.get(path);
        if (netns === undefined) byPath.set(path, (netns = this.#open(path)));
        else this.share(netns, 1);
        acquired.push(netns);
      }
    } catch (error) {
      for (const netns of acquired) this.release(netns);
      throw error;
    }
    return acquired;
  }

  /** Counts further users of a namespace that is held. */
  share(netns: Netns, users: number): void {
    this.#held.hold(netns, users);
  }

  /** Counts one user less. */
  release(netns: Netns): void {
    if (this.#held.release(netns)) closeNetns(netns);
  }

  /** Closes all of them. */
  close(): void {
    for (const netns of this.#held.all()) closeNetns(netns);
    this.#held.clear();
  }

  #open(path: string): Netns {
    if (path === OWN_NETNS) {
      return this.#held.hold({ fd: OWN_FD, identity: hostNetnsIdentity() ?? OWN_NETNS });
    }
    const fd = openNetns(path);
    const identity = fileIdentity(fstatSync(fd));
    const known = this.#held.get(identity);
    if (known !== undefined) {
      closeSync(fd);
      return this.#held.hold(known);
    }
    const failure = this.#probe(fd);
    if (failure !== undefined) {
      closeSync(fd);
      throw netnsError(failure, path);
    }
    return this.#held.hold({ fd, identity });
  }
}

function closeNetns({ fd }: Netns): void {
  if (fd !== OWN_FD) closeSync(fd);
}

/** A descriptor of the namespace; close-on-exec, like everything that Node opens. */
function openNetns(path: string): number {
  try {
    // O_NONBLOCK: opening a FIFO would block the process forever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { errno } = cause as NodeJS.ErrnoException;
    if (errno === undefined) throw cause;
    throw netnsError({ errno, syscall: 'open' }, path);
  }
}

/** Why a namespace could not be opened, or cannot be entered. */
export function netnsError(
  failure: { readonly errno: number; readonly syscall: string; readonly pid?: number | undefined },
  path: string,
): SpliceportError {
  const hint = netnsHint(failure);
  const error = new SpliceportSystemError(failure, { side: 'container', path, hint });
  const isGone = failure.syscall === 'open' && ['ENOENT', 'ESRCH'].includes(error.code);
  if (!isGone) return error;
  const message = `The network namespace is gone: ${error.message}`;
  return new SpliceportError('ERR_SPLICEPORT_NETNS_GONE', message, { cause: error });
}
