// failure-texts.ts: Podman's texts for failed system calls.

import { SpliceportError, SpliceportSystemError } from '../index.js';
import { unprivilegedPortStart } from '../sysctl.js';
import { callText, errnoText } from './go-text.js';
import { listenText, type CheckedRange } from './ports.js';

/** The text for a host socket that could not be opened. */
export function bindFailure(error: unknown, ranges: readonly CheckedRange[]): string | undefined {
  if (!(error instanceof SpliceportSystemError) || error.side !== 'host') return undefined;
  const { protocol, address, port } = error;
  if (port === undefined) return undefined;
  const candidates = ranges.filter(
    ({ spec: { protocol: own, host, count } }) =>
      own === protocol && host.port <= port && port < host.port + count,
  );
  const range =
    candidates.find(({ spec }) => spec.host.address === address) ??
    // A dual-stack socket; IPv4 alone if the host has no IPv6.
    candidates.find(({ spec }) => spec.host.address === undefined);
  if (range === undefined) return undefined;
  const listen = listenText(range.protocol, range.host, port);
  const text = `${listen}: ${error.syscall}: ${errnoText(error.errno)}`;
  return error.code === 'EACCES' || error.code === 'EPERM' ? privilegedPortText(port, text) : text;
}

/** The text for a network namespace that could not be opened or entered. */
export function netnsFailure(error: unknown, path: string): string | undefined {
  const cause = error instanceof SpliceportError ? (error.cause ?? error) : error;
  if (!(cause instanceof SpliceportSystemError) || cause.side !== 'container') return undefined;
  return callText(cause, path);
}

function privilegedPortText(port: number, text: string): string {
  const lowest = unprivilegedPortStart();
  if (lowest === undefined || port >= lowest) return text;
  return (
    `cannot expose privileged port ${port}, you can add ` +
    `'net.ipv4.ip_unprivileged_port_start=${port}' to /etc/sysctl.conf (currently ${lowest}), ` +
    `or choose a larger port number (>= ${lowest}): ${text}`
  );
}
