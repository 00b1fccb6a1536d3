// shim-runs.ts: containers with shims, in a runtime folder of their own, and their resident.

import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlClient } from '../../../src/control/client.js';
import { isAlive } from '../../helpers/process-facts.js';
import { until } from '../../helpers/wait.js';
import { Caller, Run, shimExecutable } from './run.js';

/** Where shims find a resident of nobody else. */
export class ShimRuns {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'spliceport-resident-')));
  readonly caller: Caller;

  /** @param netnsPath - The containers'. */
  constructor(netnsPath: string) {
    this.caller = new Caller(netnsPath);
    // What a settings file says is for the resident, even if that is nothing.
    this.settings({});
  }

  /** Writes a settings file for the containers that start from now on. */
  settings(defaults: object): void {
    writeFileSync(join(this.folder, 'settings.json'), JSON.stringify({ defaults }));
  }

  /** Containers that start from now on have no settings file, so a shim may start one by itself. */
  withoutSettings(): void {
    rmSync(join(this.folder, 'settings.json'));
  }

  /** Starts a container. @param command - Runs a shim. */
  start(
    mappings: readonly object[],
    changes: Readonly<Record<string, unknown>> = {},
    command: readonly string[] = [shimExecutable],
  ): Promise<Run> {
    const config = this.caller.config(mappings, { RootlessCNI: true, ...changes });
    const env = {
      ...process.env,
      XDG_RUNTIME_DIR: this.folder,
      SPLICEPORT_CONTROL_DIR: join(this.folder, 'control'),
      SPLICEPORT_CONFIG: this.#settingsFile(),
    };
    return new Run(config, { command, env }).ready();
  }

  #settingsFile(): string {
    return readdirSync(this.folder).includes('settings.json')
      ? join(this.folder, 'settings.json')
      : '/dev/null';
  }

  reloadPath(id = 'c0ffee'): string {
    return join(this.caller.folder, 'rp', id);
  }

  /** For calls to a container's control socket, as soon as that is there. */
  async control(run: Run): Promise<ControlClient> {
    const name = `${run.pid}.sock`;
    const folder = join(this.folder, 'control');
    await until(() => namesIn(folder).includes(name), 'the control socket');
    return new ControlClient(join(folder, name));
  }

  /** The residents of this folder that run. */
  residents(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      const pid = Number(name);
      return Number.isInteger(pid) && isResidentOf(this.folder, pid) && isAlive(pid) ? [pid] : [];
    });
  }

  /** The only one; waits for it. */
  async resident(): Promise<number> {
    const [pid] = await until(() => {
      const pids = this.residents();
      return pids.length === 1 && pids;
    }, 'one resident');
    return pid ?? 0;
  }

  async killResident(): Promise<number> {
    const pid = await this.resident();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid) && !hasThreads(pid), 'the end of the resident');
    return pid;
  }

  /** Without their socket, residents leave. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.caller[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
    await until(() => this.residents().length === 0, 'the end of every resident');
  }
}

function isResidentOf(folder: string, pid: number): boolean {
  try {
    const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
    const isResident = read('cmdline').some((word) => word.endsWith('/lib/resident/main.cjs'));
    return isResident && read('environ').includes(`XDG_RUNTIME_DIR=${folder}`);
  } catch {
    return false; // It ended in between, or is another user's.
  }
}

/**
 * Its sockets stay open until the last of them has ended, which is after the process seems dead.
 */
function hasThreads(pid: number): boolean {
  return namesIn(`/proc/${pid}/task`).length > 1;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
