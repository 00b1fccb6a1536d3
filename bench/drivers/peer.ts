// peer.ts: a program of another project: this machine's, or one of the folder that the command line
// names.

import type { StdioOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Lab } from '../lab.js';
import { firstLine, Process, which } from '../process.js';
import {
  findProgram,
  isRoot,
  packageIn,
  PROGRAM_FOLDERS,
  runnableOf,
  type Runnable,
  systemName,
} from '../root.js';
import type { DriverSpec } from './running.js';

/** The names of a program and its Debian package. */
export interface PeerNames {
  readonly program: string;
  readonly package: string;
  /** The option that makes it print its version; absent if it has none. */
  readonly versionOption?: string;
}

/** Starts the program with these arguments. */
export type Start = (args: readonly string[], stdio?: StdioOptions) => Process;

/** One program, found and started in the same way for all drivers. */
export class Peer {
  readonly #names: PeerNames;
  readonly #settings: DriverSpec['settings'];
  /** The folder on the command line. */
  readonly #folder: string | undefined;
  readonly #file: string | undefined;
  #runnable: Runnable | undefined;

  constructor(spec: DriverSpec, names: PeerNames) {
    const { program } = names;
    this.#names = names;
    this.#settings = spec.settings;
    this.#folder = spec.path === undefined ? undefined : resolve(spec.path);
    this.#file =
      this.#folder === undefined
        ? (which(program) ?? findProgram('/', program))
        : findProgram(this.#folder, program);
  }

  /** Why it is not available; undefined if it is. */
  missing(): string | undefined {
    const { program } = this.#names;
    if (this.#file !== undefined) return undefined;
    if (this.#folder === undefined) {
      return `${program} is not installed: apt-get install ${this.#names.package}`;
    }
    if (!existsSync(this.#folder)) {
      return `${this.#folder} does not exist; expected ${program} there`;
    }
    const places = PROGRAM_FOLDERS.join(', ');
    return `${this.#folder} has no ${program}, neither itself nor in ${places}`;
  }

  /** The version of its package; the one that it prints if it is from no package. */
  version(): string {
    const root = this.#folder ?? '/';
    try {
      if (isRoot(root)) return packageIn(root, this.#names.package);
    } catch {
      // It was not installed from a package.
    }
    const { versionOption } = this.#names;
    if (this.#file === undefined || versionOption === undefined) return 'unknown version';
    return firstLine(this.#file, versionOption);
  }

  /** Where it is from. */
  origin(): string {
    if (this.#folder === undefined) return 'this machine';
    return isRoot(this.#folder) ? `${systemName(this.#folder)} in ${this.#folder}` : this.#folder;
  }

  /** Prepares its start. Call it before the time to ready is measured. */
  prepare(lab: Lab): Start {
    const { file, env } = this.runnable(lab);
    return (args, stdio) =>
      new Process([file, ...args], {
        ...(stdio === undefined ? {} : { stdio }),
        env: { ...process.env, ...env },
      });
  }

  /** The program itself, and what its environment needs. */
  runnable(lab: Lab): Runnable {
    const { file, env } = (this.#runnable ??= this.#find(lab));
    return { file, env: { ...env, ...this.#settings } };
  }

  #find(lab: Lab): Runnable {
    const file = this.#file;
    if (file === undefined) throw new Error(this.missing());
    const folder = this.#folder;
    if (folder === undefined || !isRoot(folder)) return { file, env: {} };
    return runnableOf(folder, file, lab.directory);
  }
}
