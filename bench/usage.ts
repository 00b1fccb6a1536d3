// usage.ts: what processes use, read from /proc. @see proc(5)

import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** The text of a file in /proc, or undefined if its process has exited. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The fields of /proc/PID/stat from the third on; the second may hold blanks and parentheses. */
function statFields(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

/**
 * The given processes and all their descendants, without those that have ended and wait to be
 * reaped.
 */
export function treeOf(roots: readonly number[]): number[] {
  const parents = new Map<number, number>();
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statFields(Number(name));
    if (fields !== undefined && fields[0] !== 'Z' && fields[0] !== 'X') {
      parents.set(Number(name), Number(fields[1]));
    }
  }
  const wanted = new Set(roots);
  const belongs = (pid: number | undefined): boolean =>
    pid !== undefined && (wanted.has(pid) || belongs(parents.get(pid)));
  return [...parents.keys()].filter(belongs);
}

/**
 * CPU time so far: of living threads to the nanosecond, of children that have ended to the
 * tick. Unit: seconds.
 */
export function cpuSeconds(pids: readonly number[]): number {
  let nanos = 0;
  let ticks = 0;
  for (const pid of pids) {
    for (const task of list(`/proc/${pid}/task`)) {
      nanos += Number(read(`/proc/${pid}/task/${task}/schedstat`)?.split(' ')[0] ?? 0);
    }
    const fields = statFields(pid);
    ticks += Number(fields?.[13] ?? 0) + Number(fields?.[14] ?? 0);
  }
  return nanos / 1e9 + ticks / TICKS_PER_SECOND;
}

/** Memory of some processes. Unit: KiB. */
export interface Memory {
  /** What is theirs alone and no copy of a file. */
  readonly privateDirty: number;
  /** What is theirs, and their share of what others have too. */
  readonly pss: number;
}

/** A figure of /proc/PID/smaps_rollup; 0 if it is not there. */
export function kibIn(smaps: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(smaps)?.[1] ?? 0);
}

/** The memory of all these processes together. */
export function memoryOf(pids: readonly number[]): Memory {
  const texts = pids.map((pid) => read(`/proc/${pid}/smaps_rollup`) ?? '');
  const sum = (name: string): number => texts.reduce((total, text) => total + kibIn(text, name), 0);
  return { privateDirty: sum('Private_Dirty'), pss: sum('Pss') };
}

/** Private dirty memory. Unit: KiB. */
export function privateDirtyKib(pids: readonly number[]): number {
  return memoryOf(pids).privateDirty;
}

/** Open descriptors. */
export function descriptorCount(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + list(`/proc/${pid}/fd`).length, 0);
}

/**
 * Whether a port is bound, and for TCP listened on, in the network namespace of a process. Nobody
 * notices the look.
 * @see proc_net_tcp in the kernel's documentation: state 0A is LISTEN
 */
export function isBound(protocol: 'tcp' | 'udp', port: number, pid: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['', '6'].some((family) =>
    (read(`/proc/${pid}/net/${protocol}${family}`) ?? '')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(
        (columns) => columns[1]?.endsWith(suffix) && (protocol === 'udp' || columns[3] === '0A'),
      ),
  );
}
