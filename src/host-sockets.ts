// host-sockets.ts: opens the sockets that clients come to, on the host side and before the engine has them.

import {
  binding,
  isNativeFailure,
  type HostSocket,
  type HostSocketRequest,
  type NativeFailure,
} from './binding.js';
import { SpliceportSystemError } from './errors.js';
import { hostSocketHint } from './hints.js';
import type { HostRequest } from './validate.js';

/** A {@link HostRequest} that was granted. */
export interface OpenedHost extends HostRequest {
  readonly fd: number;
}

type OpenHostSockets = (requests: readonly HostSocketRequest[]) => HostSocket[] | NativeFailure;

const NO_IPV6_CODES: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/**
 * Opens all of them or none. What should have been dual-stack is IPv4 alone where the host has no IPv6.
 * @throws SpliceportSystemError
 */
export function openHostSockets(
  hosts: readonly HostRequest[],
  open: OpenHostSockets = (requests) => binding.openHostSockets(requests),
): OpenedHost[] {
  let requests = hosts;
  let opened = open(requests.map(toNative));
  if (isNativeFailure(opened)) {
    const error = toError(opened, requests);
    if (requests[opened.index ?? 0]?.dualStack !== true || !NO_IPV6_CODES.includes(error.code)) {
      throw error;
    }
    requests = hosts.map((host) =>
      host.dualStack ? { ...host, address: '0.0.0.0', dualStack: false } : host,
    );
    opened = open(requests.map(toNative));
    if (isNativeFailure(opened)) throw toError(opened, requests);
  }
  const sockets = opened;
  return requests.map((host, index) => ({ ...host, ...sockets[index] }) as OpenedHost);
}

function toNative(host: HostRequest): HostSocketRequest {
  return {
    protocol: host.protocol,
    address: host.address,
    port: host.port,
    ipv6Only: !host.dualStack,
  };
}

function toError(failure: NativeFailure, hosts: readonly HostRequest[]): SpliceportSystemError {
  const host = hosts[failure.index ?? 0];
  if (host === undefined) return new SpliceportSystemError(failure, { side: 'host' });
  const { protocol, address, port } = host;
  const hint = hostSocketHint(failure.errno, host);
  return new SpliceportSystemError(failure, { side: 'host', protocol, address, port, hint });
}
