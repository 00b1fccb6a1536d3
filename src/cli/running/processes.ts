// processes.ts: facts about other processes from /proc: their namespaces and names.

import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';

/** The pids of all processes that this one can see. */
export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Whether the process exists. */
export function processExists(pid: number): boolean {
  return attempt(() => statSync(`/proc/${pid}`)) !== undefined;
}

/** The words that a process was started with. */
export function wordsOf(pid: number): string[] {
  return (attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '').split('\0');
}

/** The file that a process executes, which may have been removed since. */
export function executableOf(pid: number): string | undefined {
  return attempt(() => readlinkSync(`/proc/${pid}/exe`))?.replace(/ \(deleted\)$/, '');
}

/**
 * The command line of a process, cut to fit a message; its name if it has none. If it was started
 * by a mere name, the path of the file tells more.
 */
export function commandOf(pid: number, maxLength = 80): string {
  const [name = '', ...args] = wordsOf(pid);
  const executable = executableOf(pid) ?? '';
  const words = [basename(executable) === name ? executable : name, ...args].join(' ').trim();
  const text = words || (attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8')) ?? '').trim();
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}

/**
 * A process that is in the network namespace, or is an ancestor of one that is, and in whose user
 * namespace this user is root; undefined if there is none. Entering that user namespace gives the
 * right to enter the network namespace.
 *
 * Ancestors matter if a container has a user namespace of its own in which this user is not root:
 * the monitor that started it is still in the engine's user namespace.
 * @param pid - A process in the network namespace, if one is known.
 */
export function findEntrance(netnsPath: string, pid?: number): number | undefined {
  const inhabitants = pid === undefined ? inhabitantsOf(netnsPath) : [pid];
  for (const inhabitant of inhabitants) {
    for (
      let candidate: number | undefined = inhabitant;
      candidate !== undefined;
      candidate = parentOf(candidate)
    ) {
      if (isRootIn(candidate)) return candidate;
    }
  }
  return undefined;
}

/** The processes in a network namespace, as far as this user may see them. */
function inhabitantsOf(netnsPath: string): number[] {
  const wanted = attempt(() => statSync(netnsPath));
  // The inode alone identifies a namespace: all namespaces are in one file system.
  if (wanted?.dev !== statSync('/proc/self/ns/net').dev) return [];
  return allPids().filter(
    (pid) => attempt(() => readlinkSync(`/proc/${pid}/ns/net`)) === `net:[${wanted.ino}]`,
  );
}

/**
 * Whether the process is in another user namespace, in which this user is root. @see
 * user_namespaces(7)
 */
function isRootIn(pid: number): boolean {
  const theirs = attempt(() => readlinkSync(`/proc/${pid}/ns/user`));
  if (theirs === undefined || theirs === readlinkSync('/proc/self/ns/user')) return false;
  const map = attempt(() => readFileSync(`/proc/${pid}/uid_map`, 'utf8')) ?? '';
  return map.split('\n').some((line) => {
    // The second number is the user as this process sees it, because it is in another namespace.
    const [inside, outside] = line.trim().split(/\s+/).map(Number);
    return inside === 0 && outside === process.geteuid?.();
  });
}

/** The process that has started it; undefined if there is none in sight. */
export function parentOf(pid: number): number | undefined {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
  const parent = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
  return parent > 0 ? parent : undefined;
}

/** Processes come and go, and this user may not look at some. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
