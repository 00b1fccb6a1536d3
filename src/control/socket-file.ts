// socket-file.ts: makes the file of a control socket.

import { closeSync, linkSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { listenUnix } from '../system.js';
import {
  chosenFolder,
  controlFolder,
  isRefused,
  openFolder,
  removeStaleSockets,
  type Environment,
} from './folder.js';

const MAX_SOCKETS_PER_PROCESS = 1_000;
/** How often the folder is made, where another process removes it because it is empty. */
const MAX_ATTEMPTS = 1_000;

/** Where a control socket goes, and whose it is. */
export interface SocketPlace {
  /**
   * Default: `$SPLICEPORT_CONTROL_DIR`, `$XDG_RUNTIME_DIR/spliceport`, or `/tmp/spliceport-<uid>`,
   * the first there is.
   */
  readonly folder?: string;
  /** In place of the one in `/tmp`. */
  readonly fallbackFolder?: string;
  /** Names the socket. */
  readonly pid: number;
  readonly env: Environment;
  /** What relative paths start from. */
  readonly workingFolder: string;
  /** Leaves sockets in the folder whose processes are gone. */
  readonly keepsStale?: boolean;
}

/** A socket that listens under its name. */
export interface SocketFile {
  readonly fd: number;
  readonly folderFd: number;
  readonly folder: string;
  readonly name: string;
  /** Whether nobody chose the folder, so that it is removed when it is empty. */
  readonly isOwnFolder: boolean;
}

/**
 * Makes a socket, and the folder where there is none; not what that is in.
 * @returns Descriptors that the caller closes.
 * @throws SpliceportError `ERR_SPLICEPORT_UNSAFE_FOLDER`
 * @throws SpliceportSystemError and Node's own errors
 */
export function makeSocketFile(place: SocketPlace): SocketFile {
  const { env, fallbackFolder, workingFolder } = place;
  const folder = resolve(workingFolder, place.folder ?? controlFolder(fallbackFolder, env));
  const isOwnFolder = (place.folder ?? chosenFolder(env)) === undefined;
  try {
    return { ...listenIn(folder, place), folder, isOwnFolder };
  } catch (error) {
    if (isOwnFolder) removeIfEmpty(folder);
    throw error;
  }
}

/** Removes a folder unless another forwarder has its socket there. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It is gone, or not empty.
  }
}

type Listening = Pick<SocketFile, 'fd' | 'folderFd' | 'name'>;

function listenIn(folder: string, { pid, keepsStale }: SocketPlace): Listening {
  for (let attempt = 1; ; attempt++) {
    let folderFd: number | undefined;
    try {
      folderFd = openFolder(folder);
      if (keepsStale !== true) removeStaleSockets(folderFd, pid);
      return { folderFd, ...listenUnderFreeName(folderFd, pid) };
    } catch (error) {
      if (folderFd !== undefined) closeSync(folderFd);
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/**
 * Shows the socket when it listens, under the name of the process; with a number where the process
 * has several, or a namesake in another pid namespace. Such a one may do the same at this moment,
 * so until then it has a name that nobody else thinks of.
 */
function listenUnderFreeName(folderFd: number, pid: number): Pick<Listening, 'fd' | 'name'> {
  const folder = `/proc/self/fd/${folderFd}`;
  const hidden = `.${pid}-${Math.floor(Math.random() * 1e9)}.sock`;
  const fd = listenUnix('stream', folderFd, hidden);
  try {
    const name = nameFor(hidden, folderFd, pid);
    unlinkSync(`${folder}/${hidden}`);
    return { fd, name };
  } catch (error) {
    closeSync(fd);
    rmSync(`${folder}/${hidden}`, { force: true });
    throw error;
  }
}

function nameFor(hidden: string, folderFd: number, pid: number): string {
  const folder = `/proc/self/fd/${folderFd}`;
  for (let number = 0; ; number++) {
    const name = number === 0 ? `${pid}.sock` : `${pid}-${number}.sock`;
    try {
      linkSync(`${folder}/${hidden}`, `${folder}/${name}`);
      return name;
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EEXIST';
      if (!isTaken || number >= MAX_SOCKETS_PER_PROCESS) throw error;
      if (isRefused(folderFd, name)) {
        // Left behind by an earlier process that had the same pid.
        unlinkSync(`${folder}/${name}`);
        number--;
      }
    }
  }
}
