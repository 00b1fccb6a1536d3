// process-facts.ts: what /proc tells about a process.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Number of open descriptors. */
export function openFds(pid: number | 'self' = 'self'): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** What each open descriptor is, for a message when their number is wrong. */
export function describeFds(pid: number | 'self' = 'self'): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // The descriptor that listed the folder.
    }
  });
}

/** Memory that is the process's alone, clean and dirty. Unit: KiB. */
export function privateMemoryKiB(pid: number | 'self' = 'self'): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  let sum = 0;
  for (const match of rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) {
    sum += Number(match[1]);
  }
  return sum;
}

/** Names of the process's threads. */
export function threadNames(pid: number | 'self' = 'self'): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return [readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim()];
    } catch {
      return []; // It ended in between.
    }
  });
}

/** Processor time that the process has used, in all of its threads. Unit: ms. */
export function cpuMs(pid: number | 'self' = 'self'): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const [user = 0, system = 0] = fields.slice(11, 13).map(Number);
  // Ticks, of which every Linux counts a hundred to the second. @see proc_pid_stat(5)
  return (user + system) * 10;
}

/** Whether the process is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
