// folder.ts: where control sockets are. Small, because every forwarder loads it.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
} from 'node:fs';
import { SpliceportError } from '../index.js';
import { connectUnix } from '../system.js';
import { effectiveUid } from '../unix-listener.js';

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Names the folder in place of the default one. */
const FOLDER_VARIABLE = 'SPLICEPORT_CONTROL_DIR';

/**
 * `<pid>.sock`, and `<pid>-<n>.sock` for a further forwarder of the same process; with a dot before
 * it is shown.
 */
const SOCKET_NAME = /^(\.?)(\d+)(?:-\d+)?\.sock$/;

/**
 * The folder that a new control socket goes into by default.
 * @param fallback - Where the environment names none. Default: one in /tmp.
 */
export function controlFolder(fallback?: string, env: Environment = process.env): string {
  const chosen = chosenFolder(env);
  if (chosen !== undefined) return chosen;
  const { XDG_RUNTIME_DIR: runtime = '' } = env;
  return runtime === '' ? (fallback ?? temporaryFolder()) : `${runtime}/spliceport`;
}

/** The folder that the user has named in the environment, which is his to remove. */
export function chosenFolder(env: Environment = process.env): string | undefined {
  const { [FOLDER_VARIABLE]: chosen = '' } = env;
  return chosen === '' ? undefined : chosen;
}

/**
 * Every folder that forwarders of this user use by default, where the environment is the same or
 * names none.
 */
export function controlFolders(): string[] {
  const chosen = chosenFolder();
  if (chosen !== undefined) return [chosen];
  const uid = outerUid();
  // Podman makes up a runtime folder where the session has none.
  const runtimes = [`/run/user/${uid}`, `/tmp/podman-run-${uid}`, `/tmp/storage-run-${uid}`];
  const usual = runtimes.map((folder) => `${folder}/spliceport`);
  return [...new Set([controlFolder(), ...usual, temporaryFolder()])];
}

/**
 * Paths of the control sockets in a folder; none when there is no such folder, or it is another
 * user's.
 */
export function socketsIn(folder: string): string[] {
  try {
    // As where sockets are made: no link of another's leads elsewhere.
    const stats = lstatSync(folder);
    if (!stats.isDirectory() || stats.uid !== effectiveUid()) return [];
    return namesIn(folder).flatMap((name) => (name.startsWith('.') ? [] : [`${folder}/${name}`]));
  } catch {
    return [];
  }
}

/**
 * Opens the folder, which is this user's alone, and makes it where there is none; not what it is
 * in.
 * @returns A descriptor that the caller closes.
 * @throws SpliceportError `ERR_SPLICEPORT_UNSAFE_FOLDER` when it is another user's, or open to
 * others
 */
export function openFolder(folder: string): number {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const { uid, mode } = fstatSync(fd);
    if (uid !== effectiveUid()) {
      const message = `the folder for control sockets, ${folder}, is another user's`;
      throw new SpliceportError('ERR_SPLICEPORT_UNSAFE_FOLDER', message);
    }
    // It is not closed to them here: it may be a folder that others need, such as /tmp.
    if ((mode & 0o077) !== 0) {
      const message = `the folder for control sockets, ${folder}, is open to others: chmod 700 it, or choose another`;
      throw new SpliceportError('ERR_SPLICEPORT_UNSAFE_FOLDER', message);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Removes the sockets that processes have left behind. One of a living process is not called,
 * because that would make the process load what answers calls.
 * @param ownPid - Of the process that the next socket is for.
 */
export function removeStaleSockets(folderFd: number, ownPid: number): void {
  const folder = `/proc/self/fd/${folderFd}`;
  for (const name of namesIn(folder)) {
    const [, dot, pid] = SOCKET_NAME.exec(name) ?? [];
    // It has shown all that it has.
    const isOwn = dot === '.' && Number(pid) === ownPid;
    if ((!isOwn && isRunning(Number(pid))) || !isRefused(folderFd, name)) continue;
    try {
      unlinkSync(`${folder}/${name}`);
    } catch {
      // Another process that starts now was faster.
    }
  }
}

/** Whether nobody listens at a socket. */
export function isRefused(folderFd: number, name: string): boolean {
  try {
    closeSync(connectUnix('stream', folderFd, name));
    return false;
  } catch (error) {
    return (error as SpliceportError).code === 'ECONNREFUSED';
  }
}

function namesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => SOCKET_NAME.test(name));
}

/**
 * A process of another pid namespace seems not to run, which is why its socket is tried before it
 * is removed.
 */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function temporaryFolder(): string {
  return `/tmp/spliceport-${outerUid()}`;
}

/**
 * The user outside of this process's user namespace, who is the same for a helper within it and a
 * command beside it.
 */
export function outerUid(): number {
  const uid = effectiveUid();
  for (const line of readFileSync('/proc/self/uid_map', 'utf8').split('\n')) {
    const [inner = 0, outer = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= inner && uid < inner + count) return outer + uid - inner;
  }
  return uid;
}
