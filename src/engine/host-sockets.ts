// host-sockets.ts: opens the sockets that clients come to, on the host side and before the engine has them.

import {
  binding,
  isNativeFailure,
  type HostSockets,
  type HostSocketRequest,
  type NativeFailure,
} from './binding.js';
import { SpliceportSystemError } from '../errors.js';
import { hostSocketHint } from '../hints.js';
import type { Protocol } from '../types.js';
import type { HostRequest } from '../spec/validate.js';

/** Where to listen, on consecutive ports of which the request names the first. */
export interface HostRange extends HostRequest {
  readonly count: number;
}

/** A {@link HostRange} that was granted: one descriptor and one port for each. */
export interface OpenedRange {
  readonly protocol: Protocol;
  readonly address: string;
  readonly dualStack: boolean;
  readonly fds: readonly number[];
  readonly ports: readonly number[];
}

type OpenHostSockets = (requests: readonly HostSocketRequest[]) => HostSockets | NativeFailure;

const NO_IPV6_CODES: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/**
 * Opens all of them or none. What should have been dual-stack is IPv4 alone where the host has no IPv6.
 * @throws SpliceportSystemError
 */
export function openHostSockets(
  wanted: readonly HostRange[],
  open: OpenHostSockets = (requests) => binding.openHostSockets(requests),
): OpenedRange[] {
  let ranges = wanted;
  let opened = open(ranges.map(toNative));
  if (isNativeFailure(opened)) {
    const failed = hostOf(opened, ranges);
    const error = toError(opened, failed);
    if (failed?.dualStack !== true || !NO_IPV6_CODES.includes(error.code)) throw error;
    ranges = wanted.map((range) =>
      range.dualStack ? { ...range, address: '0.0.0.0', dualStack: false } : range,
    );
    opened = open(ranges.map(toNative));
    if (isNativeFailure(opened)) throw toError(opened, hostOf(opened, ranges));
  }
  const { fds, ports } = opened;
  let end = 0;
  return ranges.map(({ protocol, address, dualStack, count }) => {
    const start = end;
    end += count;
    const own = { fds: fds.slice(start, end), ports: ports.slice(start, end) };
    return { protocol, address, dualStack, ...own };
  });
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
  const hint = hostSocketHint(failure.errno, host);
  return new SpliceportSystemError(failure, { side: 'host', protocol, address, port, hint });
}
