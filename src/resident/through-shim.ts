// through-shim.ts: the surroundings of a container whose ports are its shim's.

import { closeSync, lstatSync } from 'node:fs';
import type { ControlDesk } from '../control/desk.js';
import { refuse } from '../control/refusal.js';
import type { ServerOptions } from '../control/server.js';
import { writeNotes, type Notes } from '../engines/podman/notes.js';
import { makeReloadFile, removeFile } from '../engines/podman/reload-socket.js';
import type {
  Closable,
  ControlFacts,
  ReloadPlace,
  Surroundings,
} from '../engines/podman/surroundings.js';
import { SpliceportSystemError, type ForwarderOptions } from '../index.js';
import type { ForwarderOperations } from '../operations.js';
import type { Hello } from '../remote/messages.js';
import { probeNetns } from '../remote/probe.js';
import { RemoteForwarder } from '../remote/remote-forwarder.js';
import {
  keepBlob,
  listenForControl,
  listenForReloads,
  stopControl,
  warn,
  type Section,
} from '../remote/sections.js';
import { RequestError, type Shim } from '../remote/shim.js';
import { receiveClient } from '../unix-listener.js';
import { monotonicMs } from '../util.js';

/** Looking for stale sockets takes time for each process that there is. */
const TIDY_INTERVAL_MS = 1_000;
let tidiedAtMs = -TIDY_INTERVAL_MS;

/** A shim, as its container sees it. */
export class ThroughShim implements Surroundings {
  program?: string;
  readonly pid: number;
  readonly env: NodeJS.ProcessEnv;
  readonly errorOutput = { write: (line: string): void => this.write(line) };
  readonly #shim: Shim;
  readonly #hello: Hello;
  /** On the clock of {@link monotonicMs}. Unit: ms. */
  readonly #startedAtMs: number;
  #reload: { readonly section: Section; readonly path: string } | undefined;
  #desk: ControlDesk | undefined;
  #isReady: boolean;
  /** Of the control socket, where there is one. */
  controlPath: string | undefined;

  constructor(shim: Shim, hello: Hello) {
    this.#shim = shim;
    this.#hello = hello;
    this.pid = hello.pid;
    this.env = hello.environment;
    this.#startedAtMs = monotonicMs() - hello.ageMs;
    this.#isReady = hello.state !== undefined;
  }

  /** Whether a client of the control socket waits for an answer. */
  get isBusy(): boolean {
    return this.#desk?.isBusy === true;
  }

  pathFor(path: string): string {
    return path.startsWith('/') ? path : `${this.#hello.workingDirectory}/${path}`;
  }

  openForwarder(options: ForwarderOptions): ForwarderOperations {
    return new RemoteForwarder(this.#shim, options);
  }

  raiseFileLimit(): number {
    return this.#hello.maxOpenFiles;
  }

  async probeNetns(path: string): Promise<void> {
    await probeNetns(this.#shim, path);
  }

  /** What the shim has to do for it comes with {@link ThroughShim.sectionsOfReady}. */
  openReloadSocket({ type, folderFd, name }: ReloadPlace): Closable {
    try {
      const { fd, path } = makeReloadFile(type, folderFd, name);
      const { dev, ino } = lstatSync(path, { bigint: true });
      const file = { name, dev, ino, listenerFd: fd, folderFd };
      this.#reload = { section: listenForReloads(type, file), path };
      return { close: () => this.#dropReload() };
    } catch (error) {
      closeSync(folderFd);
      throw error;
    }
  }

  /** Of a container that does not start. */
  #dropReload(): void {
    const { path = '', section } = this.#reload ?? {};
    this.#reload = undefined;
    if (path !== '') removeFile(path);
    for (const fd of section?.fds ?? []) closeSync(fd);
  }

  /** Takes what is to be done before the container is ready. */
  takeReload(): Section[] {
    const reload = this.#reload;
    this.#reload = undefined;
    return reload === undefined ? [] : [reload.section];
  }

  async openControlSocket(
    _forwarder: ForwarderOperations,
    facts: ControlFacts,
    notesWith: (path: string) => Notes,
  ): Promise<Closable & { readonly path: string }> {
    const { makeSocketFile } = await import('../control/listen.js');
    // A resident that has ended may have got as far as this, and could not note it.
    if (this.#hello.state !== undefined) await this.#request([stopControl()]);
    const { env, pid } = this;
    const { fallbackFolder } = facts;
    const keepsStale = !isTimeToTidy();
    const workingFolder = this.#hello.workingDirectory;
    const fallback = fallbackFolder === undefined ? {} : { fallbackFolder };
    const place = { env, ...fallback, pid, workingFolder, keepsStale };
    const { fd, folderFd, folder, name, isOwnFolder } = makeSocketFile(place);
    const path = `${folder}/${name}`;
    const { dev, ino } = lstatSync(path, { bigint: true });
    const file = { name, dev, ino, listenerFd: fd, folderFd };
    // Its first client may come before the answer.
    this.controlPath = path;
    await this.#request([
      listenForControl(file, isOwnFolder ? folder : ''),
      keepBlob(writeNotes(notesWith(path))),
    ]);
    return { path, close: () => this.#desk?.close() };
  }

  /** Serves a client of the control socket. @param fd - Taken over. */
  async serveControl(
    fd: number,
    options: Omit<ServerOptions, 'openedAtMs' | 'pid'>,
  ): Promise<void> {
    try {
      const { ControlDesk } = await import('../control/listen.js');
      this.#desk ??= new ControlDesk({
        ...options,
        pid: this.pid,
        openedAtMs: this.#startedAtMs,
      });
    } catch (error) {
      refuse(fd, '500 Internal Server Error', `cannot load the control API: ${String(error)}`);
      throw error;
    }
    receiveClient(fd, this.#desk);
  }

  /** A line ends by itself. */
  write(text: string): void {
    this.#send(warn(text.replace(/\n$/, '')));
  }

  keep(notes: Notes): void {
    if (this.#isReady) this.#send(keepBlob(writeNotes(notes)));
  }

  /** From here on nobody reads what is written, and notes are kept at once. */
  setReady(): void {
    this.#isReady = true;
  }

  /**
   * What nobody waits for: a shim that cannot do it is gone, or of a version that does not know of
   * it.
   */
  #send(section: Section): void {
    this.#shim.request([section]).catch(() => undefined);
  }

  /** @throws SpliceportSystemError */
  async #request(sections: readonly Section[]): Promise<void> {
    try {
      await this.#shim.request(sections);
    } catch (error) {
      throw error instanceof RequestError ? new SpliceportSystemError(error.failure) : error;
    }
  }
}

/** Of many containers that start, one looks for what others have left behind. */
function isTimeToTidy(): boolean {
  const nowMs = monotonicMs();
  if (nowMs - tidiedAtMs < TIDY_INTERVAL_MS) return false;
  tidiedAtMs = nowMs;
  return true;
}
