// listen.ts: the control socket of a forwarder in this process.

import { closeSync, rmSync } from 'node:fs';
import type { ForwarderOperations } from '../operations.js';
import { identityOf, removeOwnFile, UnixListener } from '../unix-listener.js';
import { monotonicMs } from '../util.js';
import type { PortDriver } from './context.js';
import { ControlDesk } from './desk.js';
import { makeSocketFile, removeIfEmpty, type SocketFile } from './socket-file.js';
import type { ContainerInfo } from './control-types.js';

export { ControlDesk } from './desk.js';
export { makeSocketFile } from './socket-file.js';

/** What a control socket tells of its process, and where it is. */
export interface ControlOptions {
  /**
   * Default: `$SPLICEPORT_CONTROL_DIR`, `$XDG_RUNTIME_DIR/spliceport`, or `/tmp/spliceport-<uid>`,
   * the first there is.
   */
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
  /**
   * Stops listening and removes the socket; may be called twice. The end of the process does the
   * same.
   */
  close(): void;
}

/**
 * Lets this user, and root, see and steer a forwarder through a unix socket. It does not keep the
 * process alive.
 * @throws SpliceportError `ERR_SPLICEPORT_UNSAFE_FOLDER` when the folder is another user's, or open
 * to others
 * @throws SpliceportSystemError and Node's own errors, such as `ENOENT` or `EROFS`
 */
export function openControlSocket(
  forwarder: ForwarderOperations,
  options: ControlOptions = {},
): ControlSocket {
  return new Listener(forwarder, options);
}

/** The same, for a port driver of RootlessKit. */
export function openDriverSocket(
  forwarder: ForwarderOperations,
  options: ControlOptions & { readonly rootlessKit: PortDriver },
): ControlSocket {
  return new Listener(forwarder, options);
}

class Listener implements ControlSocket {
  readonly path: string;
  readonly #file: SocketFile;
  readonly #desk: ControlDesk;
  readonly #listener: UnixListener;
  readonly #identity: string | undefined;
  #isOpen = true;

  constructor(
    forwarder: ForwarderOperations,
    options: ControlOptions & { readonly rootlessKit?: PortDriver },
  ) {
    const { folder, fallbackFolder, ...rest } = options;
    this.#file = makeSocketFile({
      ...(folder !== undefined && { folder }),
      ...(fallbackFolder !== undefined && { fallbackFolder }),
      pid: process.pid,
      env: process.env,
      workingFolder: process.cwd(),
    });
    const { fd, folderFd } = this.#file;
    closeSync(folderFd);
    this.path = `${this.#file.folder}/${this.#file.name}`;
    this.#desk = new ControlDesk({
      ...rest,
      forwarder,
      pid: process.pid,
      socketPath: this.path,
      openedAtMs: monotonicMs(),
    });
    try {
      this.#identity = identityOf(this.path);
      this.#listener = new UnixListener(fd, this.#desk, false);
    } catch (error) {
      closeSync(fd);
      rmSync(this.path, { force: true });
      this.#removeFolder();
      throw error;
    }
    process.on('exit', this.#onExit);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#onExit);
    this.#listener.close();
    this.#desk.close();
    removeOwnFile(this.path, this.#identity);
    this.#removeFolder();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #removeFolder(): void {
    if (this.#file.isOwnFolder) removeIfEmpty(this.#file.folder);
  }

  readonly #onExit = (): void => this.close();
}
