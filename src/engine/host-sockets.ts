// host-sockets.ts: opens the sockets that clients come to, on the host side and before the engine
// has them.

import { closeSync } from 'node:fs';
import {
  binding,
  isNativeFailure,
  type HostSockets,
  type HostSocketRequest,
  type NativeFailure,
  type SocketFacts,
} from './binding.js';
import { SpliceportError, SpliceportSystemError } from '../errors.js';
import { hostSocketHint } from '../hints.js';
import type { Protocol } from '../types/endpoints.js';
import type { HostRequest } from '../spec/validate.js';

/** Where to listen, on consecutive ports of which the request names the first. */
export interface HostRange extends HostRequest {
  readonly count: number;
}

/** A {@link HostRange} that was granted: one port for each. */
export interface GrantedRange {
  readonly protocol: Protocol;
  readonly address: string;
  readonly dualStack: boolean;
  readonly ports: readonly number[];
}

/** The same, with one descriptor for each. */
export interface OpenedRange extends GrantedRange {
  readonly fds: readonly number[];
  /** The caller's own descriptor of the only socket, which is a copy of it. */
  readonly givenFd?: number;
}

type OpenHostSockets = (requests: readonly HostSocketRequest[]) => HostSockets | NativeFailure;

/** EBADF. */
const BAD_DESCRIPTOR = -9;
const NO_IPV6_CODES: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/**
 * Opens sockets, and takes copies of those that are open already; all or none.
 * @throws SpliceportError `ERR_SPLICEPORT_UNSUITABLE_SOCKET`
 * @throws SpliceportSystemError
 */
export function takeHostSockets(wanted: readonly HostRange[]): OpenedRange[] {
  const given: OpenedRange[] = [];
  try {
    for (const { protocol, fd } of wanted) if (fd !== undefined) given.push(adopt(protocol, fd));
    const opened = openHostSockets(wanted.filter(({ fd }) => fd === undefined)).values();
    const adopted = given.values();
    return wanted.map(({ fd }) => next(fd === undefined ? opened : adopted));
  } catch (error) {
    for (const { fds } of given) for (const fd of fds) closeSync(fd);
    throw error;
  }
}

function next<T>(values: Iterator<T>): T {
  return values.next().value as T;
}

function adopt(protocol: Protocol, fd: number): OpenedRange {
  const facts = binding.describeSocket(fd);
  const problem = isNativeFailure(facts) ? notASocket(facts) : problemOf(protocol, facts);
  if (isNativeFailure(facts) || problem !== undefined) {
    const message = `Descriptor ${fd} ${problem ?? ''}`;
    throw new SpliceportError('ERR_SPLICEPORT_UNSUITABLE_SOCKET', message);
  }
  const { address, port, ipv6Only } = facts;
  const copy = binding.adoptHostSocket({ protocol, fd, v6: address.includes(':') });
  if (isNativeFailure(copy)) throw toError(copy, { protocol, address, port, dualStack: false });
  const dualStack = address === '::' && !ipv6Only;
  return { protocol, address, dualStack, fds: [copy], ports: [port], givenFd: fd };
}

function notASocket({ errno }: NativeFailure): string {
  return errno === BAD_DESCRIPTOR ? 'is not open' : 'is not a socket';
}

/** Why clients cannot come to a socket; undefined when they can. */
function problemOf(protocol: Protocol, facts: SocketFacts): string | undefined {
  if (!facts.isIp) return 'is a socket of another family than IPv4 and IPv6';
  if (protocol === 'tcp') {
    if (!facts.isStream) return 'is not a TCP socket';
    return facts.isListening ? undefined : 'is a TCP socket that does not listen';
  }
  if (!facts.isDatagram) return 'is not a UDP socket';
  if (facts.isConnected) return 'is a UDP socket that is connected to one client';
  return facts.port === 0 ? 'is a UDP socket that is not bound' : undefined;
}

/**
 * Opens all of them or none. What should have been dual-stack is IPv4 alone where the host has no
 * IPv6.
 * @throws SpliceportSystemError
 */
export function openHostSockets(
  wanted: readonly HostRange[],
  open: OpenHostSockets = (requests) => binding.openHostSockets(requests),
): OpenedRange[] {
  let ranges = wanted;
  let opened = open(ranges.map(toNative));
  if (isNativeFailure(opened)) {
    ranges = withoutIpv6(opened, wanted);
    opened = open(ranges.map(toNative));
    if (isNativeFailure(opened)) throw hostSocketError(opened, ranges);
  }
  const fds = opened.fds.values();
  return grantedRanges(ranges, opened.ports).map((range) => ({
    ...range,
    fds: range.ports.map(() => next(fds)),
  }));
}

/**
 * The ranges to try instead: IPv4 alone where a socket should have been dual-stack and the host has
 * no IPv6.
 * @throws SpliceportSystemError where that is not why they failed
 */
export function withoutIpv6(failure: NativeFailure, wanted: readonly HostRange[]): HostRange[] {
  const error = hostSocketError(failure, wanted);
  const isDualStack = hostOf(failure, wanted)?.dualStack === true;
  if (!isDualStack || !NO_IPV6_CODES.includes(error.code)) throw error;
  return wanted.map((range) =>
    range.dualStack ? { ...range, address: '0.0.0.0', dualStack: false } : range,
  );
}

/** The ranges with the ports of their sockets, which are in order. */
export function grantedRanges(
  ranges: readonly HostRange[],
  ports: readonly number[],
): GrantedRange[] {
  let end = 0;
  return ranges.map(({ protocol, address, dualStack, count }) => {
    const start = end;
    end += count;
    return { protocol, address, dualStack, ports: ports.slice(start, end) };
  });
}

/** Why the sockets of ranges could not be opened. */
export function hostSocketError(
  failure: NativeFailure,
  ranges: readonly HostRange[],
): SpliceportSystemError {
  return toError(failure, hostOf(failure, ranges));
}

/** Names a host endpoint that only one forward can have. */
export function keyOf(
  protocol: Protocol,
  { address, port, dualStack }: Pick<HostRequest, 'address' | 'port' | 'dualStack'>,
): string {
  return `${protocol} ${dualStack ? '*' : address}:${port}`;
}

function toNative({ protocol, address, port, count, dualStack }: HostRange): HostSocketRequest {
  return { protocol, address, port, count, ipv6Only: !dualStack };
}

/** Where the socket that failed was to listen. */
function hostOf(failure: NativeFailure, ranges: readonly HostRange[]): HostRequest | undefined {
  let offset = failure.index ?? 0;
  for (const { count, ...host } of ranges) {
    if (offset < count) return { ...host, port: host.port === 0 ? 0 : host.port + offset };
    offset -= count;
  }
  return undefined;
}

function toError(failure: NativeFailure, host: HostRequest | undefined): SpliceportSystemError {
  if (host === undefined) return new SpliceportSystemError(failure, { side: 'host' });
  const { protocol, address, port } = host;
  const hint = hostSocketHint(failure, host);
  return new SpliceportSystemError(failure, { side: 'host', protocol, address, port, hint });
}
