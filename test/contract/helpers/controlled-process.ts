// controlled-process.ts: processes with a control socket, as users of the library write them.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until, within } from '../../helpers/wait.js';

/** The program that they run. */
export const controlledProgram = fileURLToPath(
  new URL('../programs/controlled.mjs', import.meta.url),
);

/** What it says. */
export interface Told {
  readonly path: string;
  readonly hasHttp: boolean;
}

/** What such a process does. */
export type ControlledRole = 'ends' | 'exits' | 'stays' | 'throws';

/** A process with a control socket, and what it says. */
export class ControlledProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown[]>;
  readonly #lines: Interface;
  readonly #told: Told[] = [];

  constructor(what: ControlledRole, env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, [controlledProgram, what], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    });
    this.exited = once(this.child, 'exit');
    if (this.child.stdout === null) throw new Error('no output');
    this.#lines = createInterface({ input: this.child.stdout });
    this.#lines.on('line', (line) => this.#told.push(JSON.parse(line) as Told));
  }

  get socketName(): string {
    return `${this.child.pid ?? 0}.sock`;
  }

  /** What it says next. */
  next(): Promise<Told> {
    return until(() => this.#told.shift(), 'a word of the process');
  }

  /** Tells it something; what it says to that. */
  ask(what: 'again' | 'close' | 'load'): Promise<Told> {
    this.child.stdin?.write(`${what}\n`);
    return this.next();
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<unknown[]> {
    this.child.kill(signal);
    return within(this.exited, 'the end of the process');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
