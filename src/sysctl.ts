// sysctl.ts: settings of the kernel.

import { readFileSync } from 'node:fs';

/**
 * The number that a setting such as `kernel.pid_max` has; undefined if the kernel does not have the
 * setting.
 */
export function readSysctl(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The lowest port that anyone may listen on. @see ip_unprivileged_port_start in ip(7) */
export function unprivilegedPortStart(): number | undefined {
  return readSysctl('net.ipv4.ip_unprivileged_port_start');
}
