// peer.ts: whether a process may be served. What it asks for is done with the rights of this one:
// ports of the host, and whatever namespace it names.

import { readFileSync, readlinkSync } from 'node:fs';
import { peerCredentials } from '../system.js';
import { effectiveUid } from '../unix-listener.js';

/** @see capabilities(7) */
const CAP_SYS_ADMIN = 1n << 21n;

/**
 * Whether it is this user's, and no container's: those have neither the right to enter namespaces,
 * unless they are in one of their own, nor this process's files.
 */
export function isTrusted(fd: number): boolean {
  try {
    const { pid, uid } = peerCredentials(fd);
    return uid === effectiveUid() && pid > 0 && (isAdministrator(pid) || isNeighbour(pid));
  } catch {
    return false;
  }
}

function isAdministrator(pid: number): boolean {
  const [, effective = '0'] =
    /^CapEff:\s+([\da-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (BigInt(`0x${effective}`) & CAP_SYS_ADMIN) !== 0n && hasSame(pid, 'user');
}

function isNeighbour(pid: number): boolean {
  return hasSame(pid, 'user') && hasSame(pid, 'mnt');
}

function hasSame(pid: number, kind: 'mnt' | 'user'): boolean {
  return readlinkSync(`/proc/${pid}/ns/${kind}`) === readlinkSync(`/proc/self/ns/${kind}`);
}
