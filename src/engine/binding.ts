// binding.ts: the whole contract of the addon, and the one place that loads it.
// Everything here is given checked arguments: the addon asserts them and does not explain.
// A failure is a value, an exception from constructors alone; errors.ts makes the Error.

import { addonPath } from './addon-path.js';
import { SpliceportError, SpliceportSystemError } from '../errors.js';
import { engineHint } from '../hints.js';
import type { Endpoint, Protocol } from '../types/endpoints.js';
import type { Stats } from '../types/forward-stats.js';
import type { ConnectFailure } from '../types/forwards.js';
import type { Session, SessionEnding } from '../types/session.js';
import type { counters } from '../spec/counters.js';
import type { EngineSettings, ForwardSettings } from '../spec/validate.js';

/** A failed system call. `errno` is negative, as in libuv and Node. */
export interface NativeFailure {
  readonly errno: number;
  readonly syscall: string;
  /** Which request of a batch failed. */
  readonly index?: number;
  /** The process that it failed in, if that is another one. */
  readonly pid?: number | undefined;
}

/** One socket, or one for each of `count` consecutive ports. */
export interface HostSocketRequest {
  readonly protocol: Protocol;
  /** Numeric. `::` with `ipv6Only: false` is a dual-stack socket. */
  readonly address: string;
  /** The first, 0 to 65535; 0 lets the kernel choose all of them. */
  readonly port: number;
  readonly count: number;
  /** Ignored for an IPv4 address. */
  readonly ipv6Only: boolean;
}

/** The sockets of all requests, in order. */
export interface HostSockets {
  readonly fds: number[];
  /** The bound ports. */
  readonly ports: number[];
}

export interface NativeEngineOptions extends EngineSettings {
  /** How many of the workers take the new connections of one forward. */
  readonly acceptors: number;
}

export interface NativeTarget {
  /** Borrowed for the call; the engine duplicates it. -1: the namespace the process started in. */
  readonly netnsFd: number;
  readonly address: string;
  readonly port: number;
}

/**
 * Forwards with consecutive ids to consecutive ports. `acceptProxy` says nothing that
 * `trustedProxies` does not.
 */
export interface NativeForwards extends Omit<ForwardSettings, 'acceptProxy'> {
  /** By {@link NativeEngine.openOwner}. */
  readonly owner: number;
  readonly firstId: number;
  readonly protocol: Protocol;
  /** One for each. Taken over by the engine, whatever the outcome. */
  readonly hostFds: readonly number[];
  /** Of the first. */
  readonly target: NativeTarget;
}

/** Counters, with a cause as the kernel gives it. */
export interface NativeStats extends Omit<Pick<Stats, keyof typeof counters>, 'connectError'> {
  readonly connectErrno?: number;
}

/** A session or flow that has ended, or a client that got none. */
export interface NativeEndedSession {
  readonly forwardId: number;
  readonly protocol: Protocol;
  readonly client: Endpoint;
  readonly target: Endpoint;
  readonly bytesToContainer: number;
  readonly bytesToHost: number;
  readonly durationMicros: number;
  /** Absent where there was no connection to the server. */
  readonly connectMicros?: number;
  readonly ending: SessionEnding;
  /** Of the last attempt to connect, where there was no connection. Negative. */
  readonly errno?: number;
}

/**
 * The first failure of a forward to connect a client, since its target was set or a client was
 * connected.
 */
export interface NativeConnectFailure extends Pick<ConnectFailure, 'ending'> {
  readonly id: number;
  /** Of the last attempt. Negative. */
  readonly errno?: number;
}

/**
 * A removed forward is gone: its last session ended, or its drain time passed. Or a forward has
 * begun to fail. Or an owner has ends to take, which is reported once, until they are taken.
 */
export type NativeEvent =
  | { readonly type: 'removed'; readonly id: number }
  | ({ readonly type: 'connect-failed' } & NativeConnectFailure)
  | { readonly type: 'sessions-ended'; readonly owner: number };

/** Worker threads that relay. Every method is synchronous and takes microseconds; none throws. */
export interface NativeEngine {
  /**
   * One who has forwards, for sums of their counters and, where `tellsOfEnds`, their sessions'
   * ends; its number, which is never used again.
   */
  openOwner(tellsOfEnds: boolean): number;
  /** Forgets an owner whose forwards have been removed. */
  closeOwner(owner: number): void;
  /** All or nothing. */
  add(forwards: readonly NativeForwards[]): NativeFailure | undefined;
  /**
   * Swaps targets in place: in force for every connection accepted and every datagram read after
   * the return. All or nothing.
   */
  retarget(
    changes: readonly { readonly id: number; readonly target: NativeTarget }[],
  ): NativeFailure | undefined;
  /**
   * Closes the listeners before it returns, so that the ports are free. Sessions go on for at most
   * `drainMs` (0: they are closed before it returns). Each id is reported by one `removed` event.
   */
  remove(ids: readonly number[], drainMs: number): void;
  /** Of one forward, also while it drains. */
  stats(id: number): NativeStats;
  /** Of all that an owner has had. */
  statsOfOwner(owner: number): NativeStats;
  sessions(): Session[];
  /**
   * Takes at most so many ends of sessions out of an owner's queue, also after close(). To be
   * called until there are none.
   */
  takeEnded(owner: number, most: number): NativeEndedSession[];
  /**
   * Stops the threads and closes every socket. May be called twice. The onEvent callback is not
   * called any more.
   */
  close(): void;
  /** Whether the engine keeps the process alive; it does at first. */
  ref(): void;
  unref(): void;
}

/** What a descriptor is that somebody else has opened. */
export interface SocketFacts {
  readonly isStream: boolean;
  readonly isDatagram: boolean;
  /** Of IPv4 or IPv6. */
  readonly isIp: boolean;
  readonly isListening: boolean;
  readonly isConnected: boolean;
  readonly ipv6Only: boolean;
  /** What it is bound to; empty where it is not of IPv4 or IPv6. */
  readonly address: string;
  readonly port: number;
}

/**
 * Calls back on this thread when a descriptor is readable (or at its end); level-triggered, as
 * poll(2).
 */
export interface FdWatcher {
  /** Whether it calls back when the descriptor is writable, too; it does not at first. */
  watchWrites(on: boolean): void;
  /** Ends the watch; a borrowed descriptor stays open. May be called twice. */
  close(): void;
  ref(): void;
  unref(): void;
}

/** The process at the other end of a unix socket. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What came from a unix socket. The descriptors are the receiver's. */
export interface Received {
  readonly data: Uint8Array;
  readonly fds: number[];
}

export interface Binding {
  /** Throws a {@link NativeFailure}; see {@link startEngine}. */
  readonly Engine: new (
    options: NativeEngineOptions,
    onEvent: (event: NativeEvent) => void,
  ) => NativeEngine;
  /**
   * Throws a {@link NativeFailure}: EPERM for a plain file, EEXIST for what is watched already.
   * With `isTakenOver`, the watch closes the descriptor, also if it fails.
   */
  readonly FdWatcher: new (
    fd: number,
    onReadable: () => void,
    onWritable?: () => void,
    isTakenOver?: boolean,
  ) => FdWatcher;
  /** Binds, and listens for TCP. All or nothing; `index` says which socket failed. */
  openHostSockets(requests: readonly HostSocketRequest[]): HostSockets | NativeFailure;
  /** Fails with EBADF for a descriptor that is not open, ENOTSOCK for one of something else. */
  describeSocket(fd: number): SocketFacts | NativeFailure;
  /** A copy of a socket, prepared as those of {@link Binding.openHostSockets} are. */
  adoptHostSocket(request: {
    readonly protocol: Protocol;
    readonly fd: number;
    readonly v6: boolean;
  }): number | NativeFailure;
  /** Enters the namespace on a thread of its own, to find out whether it can be entered. */
  probeNetns(fd: number): NativeFailure | undefined;
  /**
   * Finds out, on a thread of its own, whether sockets in the namespace may bear clients'
   * addresses. Takes away the routes and rules that forwarders have left there which were killed.
   */
  prepareTransparency(fd: number): NativeFailure | undefined;
  /**
   * Sets up the named interface of the calling thread's namespace (`lo`, say). @see netdevice(7)
   */
  setInterfaceUp(name: string): NativeFailure | undefined;
  /** dup2(2): makes `target` a copy of `fd`. */
  replaceFd(fd: number, target: number): NativeFailure | undefined;
  /** Raises the soft limit on open files to the hard one; the new limit. */
  raiseFileLimit(): number | NativeFailure;
  /**
   * A listening unix socket; the path may be longer than sun_path when `directoryFd` is a
   * descriptor of its folder.
   */
  listenUnix(
    type: 'seqpacket' | 'stream',
    directoryFd: number,
    name: string,
  ): number | NativeFailure;
  /** A connected unix socket; the path as for {@link Binding.listenUnix}. */
  connectUnix(
    type: 'dgram' | 'seqpacket' | 'stream',
    directoryFd: number,
    name: string,
  ): number | NativeFailure;
  /** The next connection, or undefined when there is none. */
  acceptUnix(fd: number): number | NativeFailure | undefined;
  /** A descriptor of a process, readable once it has exited. @see pidfd_open(2) */
  openPidfd(pid: number): number | NativeFailure;
  /**
   * So that libuv finds a watch for what it is given next. @see TakeWatch in
   * native/binding/fd_watcher.h
   */
  takeWatch(fd: number): NativeFailure | undefined;
  /** Who connected to a unix socket, as of then. @see SO_PEERCRED in unix(7) */
  peerCredentials(fd: number): PeerCredentials | NativeFailure;
  /**
   * Reads what is there, at most `maxBytes`, as a Buffer; empty at the end; undefined when there is
   * nothing yet.
   */
  receive(fd: number, maxBytes: number): Uint8Array | NativeFailure | undefined;
  /** Sends all or nothing without waiting; never raises SIGPIPE. */
  send(fd: number, data: Uint8Array): NativeFailure | undefined;
  /**
   * {@link Binding.receive}, with the descriptors that came with the data. `EMFILE` when there is
   * no room for them.
   */
  receiveWithFds(fd: number, maxBytes: number): Received | NativeFailure | undefined;
  /**
   * Sends as much as it can without waiting, and with the first byte copies of the descriptors; how
   * many bytes. 0: nothing was sent.
   */
  sendWithFds(fd: number, data: Uint8Array, fds: readonly number[]): number | NativeFailure;
}

/** True for the failures that addon functions return in place of a value. */
export function isNativeFailure(value: unknown): value is NativeFailure {
  return typeof value === 'object' && value !== null && 'errno' in value && 'syscall' in value;
}

/** @throws SpliceportError `ERR_SPLICEPORT_BINDING_LOAD` */
function load(): Binding {
  const module = { exports: {} };
  try {
    // What require() does for a .node file, without its search.
    process.dlopen(module, addonPath(`${import.meta.dirname}/../..`));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // node-gyp-build's text has several lines.
    const reason = text.trim().replace(/\s*\n\s*/g, ', ');
    const message = `cannot load the addon: ${reason}; "npm rebuild spliceport" compiles it, which takes a C++20 compiler, make and Python 3`;
    throw new SpliceportError('ERR_SPLICEPORT_BINDING_LOAD', message, { cause: error });
  }
  return module.exports as Binding;
}

export const binding: Binding = load();

/**
 * Starts the threads that relay.
 * @throws SpliceportSystemError such as `EAGAIN` of `pthread_create` or `EMFILE` of `epoll_create1`
 */
export function startEngine(
  options: NativeEngineOptions,
  onEvent: (event: NativeEvent) => void,
): NativeEngine {
  try {
    return new binding.Engine(options, onEvent);
  } catch (error) {
    if (!isNativeFailure(error)) throw error;
    throw new SpliceportSystemError(error, { hint: engineHint(error) });
  }
}
