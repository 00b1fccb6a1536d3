// listen.ts: the control socket of a forwarder. What answers calls is loaded when the first client connects, and not
// before: most forwarders are never asked.

import { closeSync, linkSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ForwarderOperations } from '../operations.js';
import { listenUnix } from '../system.js';
import { identityOf, removeOwnFile, UnixListener } from '../unix-listener.js';
import {
  chosenFolder,
  controlFolder,
  isRefused,
  openFolder,
  removeStaleSockets,
} from './folder.js';
import { refuse } from './refusal.js';
import type { ControlServer } from './server.js';
import type { ContainerInfo } from './types.js';

const MAX_SOCKETS_PER_PROCESS = 1_000;
/** How often the folder is made, where another process removes it because it is empty. */
const MAX_ATTEMPTS = 1_000;

/** What a control socket tells of its process, and where it is. */
export interface ControlOptions {
  /** Default: `$SPLICEPORT_CONTROL_DIR`, `$XDG_RUNTIME_DIR/spliceport`, or `/tmp/spliceport-<uid>`, the first there is. */
  readonly folder?: string;
  /** In place of the one in `/tmp`. */
  readonly fallbackFolder?: string;
  /** What the process is, for those who look at it. Default: `library`. */
  readonly program?: string;
  /** The container that is served, where it is a single one. */
  readonly container?: ContainerInfo;
  /** What went wrong without stopping the process. Read anew for each call, so it may grow. */
  readonly notices?: readonly string[];
  /** The container's address for a port that is added without one. Default: `127.0.0.1`. */
  readonly targetFor?: (hostAddress: string) => string;
  /** Called when a drain that was asked for is over and has been answered. */
  readonly onDrained?: () => void;
}

/** An open control socket. */
export interface ControlSocket extends Disposable {
  readonly path: string;
  /** Stops listening and removes the socket; may be called twice. The end of the process does the same. */
  close(): void;
}

/**
 * Lets this user, and root, see and steer a forwarder through a unix socket. It does not keep the process alive.
 * @throws SpliceportError `ERR_SPLICEPORT_UNSAFE_FOLDER` when the folder is another user's, or open to others
 * @throws SpliceportSystemError and Node's own errors, such as `ENOENT` or `EROFS`
 */
export function openControlSocket(
  forwarder: ForwarderOperations,
  options: ControlOptions = {},
): ControlSocket {
  return new Listener(forwarder, options);
}

class Listener implements ControlSocket {
  readonly path: string;
  readonly #forwarder: ForwarderOperations;
  readonly #options: ControlOptions;
  readonly #openedAtMs = performance.now();
  readonly #folder: string;
  readonly #listener: UnixListener;
  readonly #identity: string | undefined;
  #server: Promise<ControlServer> | undefined;
  #isOpen = true;

  constructor(forwarder: ForwarderOperations, options: ControlOptions) {
    this.#forwarder = forwarder;
    this.#options = options;
    this.#folder = resolve(options.folder ?? controlFolder(options.fallbackFolder));
    const { fd, name } = this.#listen();
    this.path = `${this.#folder}/${name}`;
    try {
      this.#identity = identityOf(this.path);
      this.#listener = new UnixListener(fd, this, false);
    } catch (error) {
      closeSync(fd);
      rmSync(this.path, { force: true });
      this.#removeFolder();
      throw error;
    }
    process.on('exit', this.#onExit);
  }

  #listen(): { readonly fd: number; readonly name: string } {
    try {
      return listenIn(this.#folder);
    } catch (error) {
      this.#removeFolder();
      throw error;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#onExit);
    this.#listener.close();
    this.#server?.then(
      (server) => server.close(),
      () => undefined,
    );
    removeOwnFile(this.path, this.#identity);
    this.#removeFolder();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Removes the folder if it is empty and nobody chose it. */
  #removeFolder(): void {
    if ((this.#options.folder ?? chosenFolder()) !== undefined) return;
    try {
      rmdirSync(this.#folder);
    } catch {
      // It is gone, or another forwarder has its socket there.
    }
  }

  readonly #onExit = (): void => this.close();

  serve(fd: number): void {
    void this.#serve(fd);
  }

  refuse(fd: number, reason: string): void {
    refuse(fd, '403 Forbidden', reason);
  }

  async #serve(fd: number): Promise<void> {
    let server: ControlServer;
    try {
      server = await (this.#server ??= this.#load());
    } catch (error) {
      this.#server = undefined;
      refuse(fd, '500 Internal Server Error', `cannot load the control API: ${String(error)}`);
      return;
    }
    if (this.#isOpen) server.accept(fd);
    else closeSync(fd);
  }

  async #load(): Promise<ControlServer> {
    const { ControlServer } = await import('./server.js');
    const { folder: _, ...options } = this.#options;
    return new ControlServer({
      ...options,
      forwarder: this.#forwarder,
      socketPath: this.path,
      openedAtMs: this.#openedAtMs,
    });
  }
}

function listenIn(folder: string): { readonly fd: number; readonly name: string } {
  for (let attempt = 1; ; attempt++) {
    let folderFd: number | undefined;
    try {
      folderFd = openFolder(folder);
      removeStaleSockets(folderFd);
      return listenUnderFreeName(folderFd);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
    } finally {
      if (folderFd !== undefined) closeSync(folderFd);
    }
  }
}

/**
 * Shows the socket when it listens, under the name of the process; with a number where the process
 * has several, or a namesake in another pid namespace. Such a one may do the same at this moment, so until
 * then it has a name that nobody else thinks of.
 */
function listenUnderFreeName(folderFd: number): { readonly fd: number; readonly name: string } {
  const folder = `/proc/self/fd/${folderFd}`;
  const hidden = `.${process.pid}-${Math.floor(Math.random() * 1e9)}.sock`;
  const fd = listenUnix('stream', folderFd, hidden);
  try {
    const name = nameFor(hidden, folderFd);
    unlinkSync(`${folder}/${hidden}`);
    return { fd, name };
  } catch (error) {
    closeSync(fd);
    rmSync(`${folder}/${hidden}`, { force: true });
    throw error;
  }
}

function nameFor(hidden: string, folderFd: number): string {
  const folder = `/proc/self/fd/${folderFd}`;
  for (let number = 0; ; number++) {
    const name = number === 0 ? `${process.pid}.sock` : `${process.pid}-${number}.sock`;
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
