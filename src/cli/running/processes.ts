// processes.ts: what /proc tells of other processes: whose namespaces they live in, and what they are called.

import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** Ids of all processes that this one sees. */
export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Whether there is such a process. */
export function processExists(pid: number): boolean {
  return attempt(() => statSync(`/proc/${pid}`)) !== undefined;
}

/** The command line of a process, cut to what fits into a message; its name where it has none. */
export function commandOf(pid: number, maxLength = 80): string {
  const line = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
  const words = line.replaceAll('\0', ' ').trim();
  const text = words || (attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8')) ?? '').trim();
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}

/**
 * A process in whose user namespace this user is root, and which is, or is an ancestor of, a process that lives in the
 * network namespace; undefined when there is none. Entering that user namespace gives the right to enter the network's.
 *
 * The ancestors matter where a container has a user namespace of its own, in which its user is not root: the monitor
 * that started it still lives in the engine's.
 * @param pid - A process that lives in the network namespace, where one is known.
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

/** The processes in a network namespace, as far as this user may look. */
function inhabitantsOf(netnsPath: string): number[] {
  const wanted = attempt(() => statSync(netnsPath));
  // Numbers of namespaces are those of one file system, which has no other files.
  if (wanted?.dev !== statSync('/proc/self/ns/net').dev) return [];
  return allPids().filter(
    (pid) => attempt(() => readlinkSync(`/proc/${pid}/ns/net`)) === `net:[${wanted.ino}]`,
  );
}

/** Whether the process lives in another user namespace, whose root is this user. @see user_namespaces(7) */
function isRootIn(pid: number): boolean {
  const theirs = attempt(() => readlinkSync(`/proc/${pid}/ns/user`));
  if (theirs === undefined || theirs === readlinkSync('/proc/self/ns/user')) return false;
  const map = attempt(() => readFileSync(`/proc/${pid}/uid_map`, 'utf8')) ?? '';
  return map.split('\n').some((line) => {
    // The second number is the user as this process sees it, because it lives in another namespace.
    const [inside, outside] = line.trim().split(/\s+/).map(Number);
    return inside === 0 && outside === process.geteuid?.();
  });
}

function parentOf(pid: number): number | undefined {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
  const parent = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
  return parent > 0 ? parent : undefined;
}

/** Processes come and go, and some are not this user's to look at. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
