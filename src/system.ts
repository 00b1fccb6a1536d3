// system.ts: small system calls that Node lacks, for front-ends of container engines. If the addon
// returns a failure, these functions throw it.

import {
  binding,
  isNativeFailure,
  type FdWatcher,
  type NativeFailure,
  type PeerCredentials,
  type SocketFacts,
} from './engine/binding.js';
import { SpliceportSystemError } from './errors.js';
import { NetnsTable } from './spec/netns.js';

export { watchProcess, type ProcessWatch } from './engine/process-exit.js';
export type { FdWatcher, PeerCredentials, SocketFacts };

/** The type of a Unix socket: `seqpacket` keeps message boundaries. @see unix(7) */
export type UnixSocketType = 'seqpacket' | 'stream';

/**
 * Calls back whenever a descriptor is readable or at its end, until the watch is closed.
 * The descriptor is borrowed: close the watch first, then the descriptor.
 * @param onWritable - Called when it is writable, while `watchWrites(true)` is in force.
 * @throws SpliceportSystemError such as `EPERM` for a regular file, or `EEXIST` if it is already
 * watched
 */
export function watchFd(fd: number, onReadable: () => void, onWritable?: () => void): FdWatcher {
  try {
    return new binding.FdWatcher(fd, onReadable, onWritable);
  } catch (error) {
    if (isNativeFailure(error)) throw new SpliceportSystemError(error);
    throw error;
  }
}

/**
 * Creates a listening Unix socket in an open folder; the whole path may be longer than the 107
 * bytes of an address.
 * @param directoryFd - Borrowed.
 * @returns A non-blocking descriptor, which the caller must close.
 * @throws SpliceportSystemError such as `EADDRINUSE` if the name is in use
 */
export function listenUnix(type: UnixSocketType, directoryFd: number, name: string): number {
  return unwrap(binding.listenUnix(type, directoryFd, name), name);
}

/**
 * Connects to a Unix socket in an open folder; see {@link listenUnix}. A name that begins with a
 * NUL byte is abstract, and in no folder.
 * @param directoryFd - Borrowed.
 * @returns A non-blocking descriptor, which the caller must close.
 * @throws SpliceportSystemError such as `ECONNREFUSED`
 */
export function connectUnix(
  type: UnixSocketType | 'dgram',
  directoryFd: number,
  name: string,
): number {
  return unwrap(binding.connectUnix(type, directoryFd, name), name);
}

/** What a descriptor is, if it is an open socket. */
export function describeSocket(fd: number): SocketFacts | undefined {
  const facts = binding.describeSocket(fd);
  return isNativeFailure(facts) ? undefined : facts;
}

/**
 * Accepts a connection.
 * @returns A non-blocking descriptor, which the caller must close, or undefined if nobody is
 * waiting.
 * @throws SpliceportSystemError
 */
export function acceptUnix(fd: number): number | undefined {
  return unwrap(binding.acceptUnix(fd));
}

/**
 * Reads what is available: one message of a `seqpacket` socket, or some bytes of a stream.
 * @returns Empty at the end, undefined if there is nothing yet.
 * @throws SpliceportSystemError such as `ECONNRESET`
 */
export function receive(fd: number, maxBytes: number): Buffer | undefined {
  // The addon's types, which are part of the public ones, name nothing of Node's.
  return unwrap(binding.receive(fd, maxBytes)) as Buffer | undefined;
}

/**
 * The process that connected to a Unix socket.
 * @throws SpliceportSystemError
 * @see SO_PEERCRED in unix(7)
 */
export function peerCredentials(fd: number): PeerCredentials {
  return unwrap(binding.peerCredentials(fd));
}

/**
 * Takes a watch for a descriptor that Node will read from next, in the same turn of its event loop.
 * If none were left, Node would abort.
 * @throws SpliceportSystemError such as `ENOSPC`
 * @see epoll_ctl(2)
 */
export function takeWatch(fd: number): void {
  check(binding.takeWatch(fd));
}

/**
 * Sends everything or fails; never waits and never raises SIGPIPE.
 * @throws SpliceportSystemError such as `EPIPE`, or `EAGAIN` if the peer does not read
 */
export function send(fd: number, data: Uint8Array): void {
  check(binding.send(fd, data));
}

/**
 * {@link receive}, with the descriptors that came with the data; they are the caller's then.
 * @throws SpliceportSystemError such as `ECONNRESET`, or `EMFILE` if there is no room for them
 */
export function receiveWithFds(
  fd: number,
  maxBytes: number,
): { readonly data: Buffer; readonly fds: number[] } | undefined {
  return unwrap(binding.receiveWithFds(fd, maxBytes)) as ReturnType<typeof receiveWithFds>;
}

/**
 * Sends as much as it can without waiting, and with the first byte copies of descriptors; never
 * raises SIGPIPE.
 * @returns How many bytes were sent; 0 if there is no room, and then no descriptor was sent either.
 * @throws SpliceportSystemError such as `EPIPE`
 */
export function sendWithFds(fd: number, data: Uint8Array, fds: readonly number[]): number {
  return unwrap(binding.sendWithFds(fd, data, fds));
}

/**
 * Makes `target` a copy of `fd`, and closes the file that `target` was.
 * @throws SpliceportSystemError such as `EBADF`
 * @see dup2(2)
 */
export function replaceFd(fd: number, target: number): void {
  check(binding.replaceFd(fd, target));
}

/**
 * Raises this process's limit on open files to the hard limit.
 * @returns The new limit.
 * @throws SpliceportSystemError
 * @see getrlimit(2)
 */
export function raiseFileLimit(): number {
  return unwrap(binding.raiseFileLimit());
}

/**
 * Checks whether a network namespace can be opened and entered.
 * @throws SpliceportError `ERR_SPLICEPORT_NETNS_GONE`
 * @throws SpliceportSystemError such as `EPERM` with side `container`
 */
export function probeNetns(path: string): void {
  const namespaces = new NetnsTable((fd) => binding.probeNetns(fd));
  namespaces.acquire([path]);
  namespaces.close();
}

/**
 * Sets up an interface of this process's network namespace, such as `lo`.
 * @throws SpliceportSystemError such as `EPERM` or `ENODEV`
 * @see netdevice(7)
 */
export function setInterfaceUp(name: string): void {
  check(binding.setInterfaceUp(name));
}

function unwrap<T>(result: T | NativeFailure, path?: string): T {
  if (isNativeFailure(result)) throw new SpliceportSystemError(result, { path });
  return result;
}

function check(failure: NativeFailure | undefined): void {
  if (failure !== undefined) throw new SpliceportSystemError(failure);
}
