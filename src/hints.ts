// hints.ts: advice for the most common failures. Reads the current system settings only after one
// has happened.

import { readFileSync } from 'node:fs';
import { describeErrno } from './errno.js';
import { unprivilegedPortStart } from './sysctl.js';
import type { Protocol } from './types/endpoints.js';

/** A failed call, and the process that has failed if it is another one. */
interface Failed {
  readonly errno: number;
  readonly pid?: number | undefined;
}

/** The same with the name of the call. */
interface FailedCall extends Failed {
  readonly syscall: string;
}

/** Advice for a host socket that could not be opened. */
export function hostSocketHint(
  failure: Failed,
  host: { readonly protocol: Protocol; readonly address: string; readonly port: number },
): string | undefined {
  const { code } = describeErrno(failure.errno);
  const port = String(host.port);
  if (code === 'EACCES') return privilegedPortHint(host.port);
  if (code === 'EADDRINUSE') {
    const kind = host.protocol === 'tcp' ? 't' : 'u';
    // All sockets rather than only listeners: an outgoing connection may have the port, too.
    return `Another socket has this port; "ss -an${kind}p 'sport = :${port}'" shows which process.`;
  }
  if (code === 'EADDRNOTAVAIL') {
    return `No interface of the host has the address ${host.address}; "ip address" lists the addresses.`;
  }
  return fileLimitHint(failure);
}

/** Advice for a network namespace that could not be opened or entered. */
export function netnsHint(failure: FailedCall): string | undefined {
  const { code } = describeErrno(failure.errno);
  if (code === 'EPERM' && failure.syscall === 'setns') {
    return (
      'Entering a network namespace takes CAP_SYS_ADMIN in the user namespace that owns it. Run as root, or inside ' +
      'that user namespace: nsenter --preserve-credentials -U -t PID.'
    );
  }
  if (code === 'EINVAL' && failure.syscall === 'setns') {
    return 'The path is not a network namespace, or the namespace that was mounted there is gone.';
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return 'Only users who may trace a process can open its namespaces: its own user, and root.';
  }
  return engineHint(failure);
}

/** Advice for a lack of threads or descriptors. */
export function engineHint(failure: FailedCall): string | undefined {
  const { code } = describeErrno(failure.errno);
  if (code === 'EAGAIN' && failure.syscall === 'pthread_create') {
    return 'The user (ulimit -u) or the control group (pids.max) reached its limit on threads.';
  }
  return fileLimitHint(failure);
}

/** Advice for a namespace whose servers cannot be shown their clients' addresses. */
export function transparencyHint(failure: FailedCall): string {
  const { code } = describeErrno(failure.errno);
  if (code === 'EPERM' || code === 'EACCES') {
    return 'This takes CAP_NET_ADMIN in the user namespace that owns the network namespace.';
  }
  if (code === 'EADDRINUSE') {
    return (
      '1,024 forwarders serve the namespace, or a program with CAP_NET_RAW there poses as forwarders; ' +
      '"ss -tanp src 192.0.0.8" in the namespace lists them.'
    );
  }
  if (code === 'ENETUNREACH') return 'The interface lo is down in the namespace.';
  const hint = engineHint(failure);
  if (hint !== undefined) return hint;
  return 'This takes Linux 4.17 or later with policy routing (CONFIG_IP_MULTIPLE_TABLES).';
}

function privilegedPortHint(port: number): string | undefined {
  const lowest = unprivilegedPortStart();
  if (lowest === undefined || port >= lowest) return undefined;
  const setting = `net.ipv4.ip_unprivileged_port_start=${port}`;
  return (
    `Ports below ${lowest} take CAP_NET_BIND_SERVICE. Use port ${lowest} or higher, or lower the ` +
    `limit: sysctl ${setting}.`
  );
}

function fileLimitHint({ errno, pid }: Failed): string | undefined {
  const { code } = describeErrno(errno);
  if (code === 'ENFILE') return 'The system reached its limit on open files (fs.file-max).';
  if (code !== 'EMFILE') return undefined;
  const limits = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readLimits(pid));
  const present = limits === null ? '' : `: ${limits[1] ?? ''} now, hard limit ${limits[2] ?? ''}`;
  return `The process reached its limit on open files (ulimit -n)${present}.`;
}

function readLimits(pid: number | 'self' = 'self'): string {
  try {
    return readFileSync(`/proc/${pid}/limits`, 'utf8');
  } catch {
    return '';
  }
}
