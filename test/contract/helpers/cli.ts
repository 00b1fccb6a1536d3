// cli.ts: runs lib/cli/main.js as a user does.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { ForwardEvent } from '../../../src/cli/forward/reports.js';
import { until, within } from '../../helpers/wait.js';

/** The program under test. */
export const program = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url));

/** Where this file's forwarders have their control sockets, so that it sees no others. */
export const controlFolder = mkdtempSync(join(tmpdir(), 'spliceport-cli-'));
// The last forwarder takes its folder along.
afterAll(() => rmSync(controlFolder, { recursive: true, force: true }));

/** The settings of whoever runs the tests are no matter of theirs. */
const noSettings = { SPLICEPORT_CONFIG: '/dev/null' };

/** How to run it. */
export interface CliOptions {
  /** What it is run by. Default: node and the program. */
  readonly command?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Descriptors of this process that it gets as 3, 4 and so on. */
  readonly fds?: readonly number[];
}

/** How a run ended, with all that it printed. */
export interface CliOutcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type EventOf<Name> = Extract<ForwardEvent, { readonly event: Name }>;

/** A run that goes on. */
export class CliRun {
  readonly pid: number;
  readonly outcome: Promise<CliOutcome>;
  readonly #process: ChildProcess;
  #stdout = '';
  #stderr = '';
  #isOver = false;

  constructor(args: readonly string[], options: CliOptions = {}) {
    const [file = '', ...before] = options.command ?? [process.execPath, program];
    const child = spawn(file, [...before, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', ...(options.fds ?? [])],
      env: { ...process.env, SPLICEPORT_CONTROL_DIR: controlFolder, ...noSettings, ...options.env },
    });
    this.#process = child;
    this.pid = child.pid ?? 0;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.outcome = once(child, 'close').then(([code, signal]) => {
      this.#isOver = true;
      return {
        code: code as number | null,
        signal: signal as NodeJS.Signals | null,
        stdout: this.#stdout,
        stderr: this.#stderr,
      };
    });
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** What it has said so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** The events of `--json` so far. */
  get events(): ForwardEvent[] {
    const lines = this.#stdout.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as ForwardEvent);
  }

  /** The first event of `--json` with this name, once it is there. */
  async event<Name extends ForwardEvent['event']>(name: Name): Promise<EventOf<Name>> {
    const found = await this.until(
      () => this.events.find(({ event }) => event === name),
      `the event ${name}`,
    );
    return found as EventOf<Name>;
  }

  /** What a probe gives as soon as it gives something; fails when the run ends before. */
  until<T>(probe: () => T, what: string): ReturnType<typeof until<T>> {
    return until(
      () => {
        const value = probe();
        if (!value && this.#isOver) throw new Error(`it ended: ${this.#stdout}${this.#stderr}`);
        return value;
      },
      what,
      20_000,
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<CliOutcome> {
    this.kill(signal);
    return within(this.outcome, 'the end of spliceport');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) await this.end('SIGKILL');
  }
}

/** Runs it to its end. */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliOutcome> {
  return within(new CliRun(args, options).outcome, `spliceport ${args.join(' ')}`, 20_000);
}
