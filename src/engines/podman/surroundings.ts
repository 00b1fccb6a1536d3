// surroundings.ts: what a container needs of the process that has its ports: this one, or its shim,
// which a connection leads to.

import { closeSync } from 'node:fs';
import type { ControlOptions } from '../../control/listen.js';
import { Forwarder, type Engine, type ForwarderOptions } from '../../index.js';
import type { LineSink } from '../../log/log-types.js';
import type { ForwarderOperations } from '../../operations.js';
import { probeNetns, raiseFileLimit, type UnixSocketType } from '../../system.js';
import type { Notes } from './notes.js';
import { makeReloadFile, ReloadSocket, type Answer } from './reload-socket.js';
import { writeAll } from './streams.js';

/** Something that is to be closed. */
export interface Closable {
  close(): void;
}

/** Where a reload socket goes. */
export interface ReloadPlace {
  readonly type: UnixSocketType;
  /** Taken over. */
  readonly folderFd: number;
  readonly name: string;
}

/** What opens a control socket, beside what is told there. */
export type ControlFacts = Required<Pick<ControlOptions, 'notices' | 'program' | 'targetFor'>> &
  Pick<ControlOptions, 'container' | 'fallbackFolder'>;

/** The process that has the ports. */
export interface Surroundings {
  /** What its log calls it. Default: `rootlessport`. */
  readonly program?: string;
  readonly pid: number;
  readonly env: NodeJS.ProcessEnv;
  /** The path itself, or what it means in another process's working folder. */
  pathFor(path: string): string;
  openForwarder(options: ForwarderOptions): ForwarderOperations;
  /** Raises the limit on open files to the hard limit; the new limit. */
  raiseFileLimit(): number;
  /** @throws as `add` does, where the namespace cannot be entered */
  probeNetns(path: string): void | Promise<void>;
  /** @throws SpliceportSystemError */
  openReloadSocket(place: ReloadPlace, answer: Answer): Closable;
  /**
   * @param notesWith - The notes of a container with this control socket. They are kept with it,
   * for a client that comes at once.
   * @throws SpliceportError, SpliceportSystemError and Node's own errors
   */
  openControlSocket(
    forwarder: ForwarderOperations,
    facts: ControlFacts,
    notesWith: (path: string) => Notes,
  ): Promise<Closable & { readonly path: string }>;
  /** Writes to standard error, while the caller reads it. */
  write(text: string): void;
  /**
   * Where log lines go first. Default: standard error of this process, without waiting for a
   * reader.
   */
  readonly errorOutput?: LineSink;
  /** Keeps what cannot be had from the forwarder, for whoever serves the container next. */
  keep(notes: Notes): void;
}

/**
 * This process.
 * @param engine - One to share with other containers; the settings of engines in the settings file
 * are not for it.
 */
export function thisProcess(engine?: Engine): Surroundings {
  return {
    pid: process.pid,
    env: process.env,
    pathFor: (path) => path,
    openForwarder: (options) =>
      new Forwarder(engine === undefined ? options : shared(options, engine)),
    raiseFileLimit,
    probeNetns,
    openReloadSocket: ({ type, folderFd, name }, answer) => {
      try {
        return new ReloadSocket(makeReloadFile(type, folderFd, name), answer);
      } catch (error) {
        closeSync(folderFd);
        throw error;
      }
    },
    openControlSocket: async (forwarder, facts) => {
      const { openControlSocket } = await import('../../control/listen.js');
      return openControlSocket(forwarder, facts);
    },
    write: (text) => writeAll(2, text),
    // Nobody serves it after this process.
    keep: () => undefined,
  };
}

function shared({ netns, onSessionsEnded }: ForwarderOptions, engine: Engine): ForwarderOptions {
  return {
    engine,
    ...(netns !== undefined && { netns }),
    ...(onSessionsEnded !== undefined && { onSessionsEnded }),
  };
}
