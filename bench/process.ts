// process.ts: child processes that are waited for, asked to end, and whose last words are kept for
// the error message.

import { type ChildProcess, spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { treeOf } from './usage.js';

const LAST_WORDS_BYTES = 4_096;
// What a program printed just before it ended is still on its way then.
const LAST_WORDS_MS = 20;
const STOP_TIMEOUT_MS = 3_000;
const UNTIL_TIMEOUT_MS = 10_000;

/** A started program. */
export class Process {
  readonly child: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<void>;
  #lastWords = '';

  /** Starts it. `stdio` may have more than the usual three. What it prints is kept. */
  constructor(
    command: readonly string[],
    options: { stdio?: StdioOptions; env?: NodeJS.ProcessEnv; cwd?: string } = {},
  ) {
    const [file, ...args] = command as [string, ...string[]];
    this.#name = command.join(' ');
    this.child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.#exited = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.#lastWords += error.message;
        resolve();
      });
      this.child.once('exit', () => {
        resolve();
      });
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (data: Buffer) => {
        this.#lastWords = (this.#lastWords + data.toString()).slice(-LAST_WORDS_BYTES);
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.pid > 0;
  }

  /** It and all its descendants. */
  tree(): number[] {
    return this.running ? treeOf([this.pid]) : [];
  }

  /** Rejects as soon as it ends; to be raced against the event that is waited for. */
  async failsEarly(): Promise<never> {
    await this.#exited;
    await delay(LAST_WORDS_MS);
    throw new Error(`${this.#name} ended early: ${this.#lastWords.trim()}`);
  }

  /** Standard output, once it has ended well. */
  async output(): Promise<string> {
    let text = '';
    this.child.stdout?.on('data', (data: Buffer) => {
      text += data.toString();
    });
    if (this.child.exitCode === null) await once(this.child, 'close');
    if (this.child.exitCode === 0) return text;
    throw new Error(`${this.#name} failed: ${this.#lastWords.trim()}`);
  }

  /** Kills it, and tells why in place of what it said. */
  giveUp(reason: string): void {
    this.#lastWords = reason;
    this.child.kill('SIGKILL');
  }

  async exited(): Promise<void> {
    await this.#exited;
  }

  /**
   * Asks it to end with `ask` (SIGTERM by default), kills it when it does not, and waits for the
   * whole tree.
   */
  async stop(ask: () => void = () => this.child.kill('SIGTERM')): Promise<void> {
    const tree = this.tree();
    if (this.running) ask();
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    while (treeOf(tree).length > 0) {
      if (Date.now() > deadline) {
        for (const pid of treeOf(tree)) process.kill(pid, 'SIGKILL');
      }
      await delay(1);
    }
    if (this.pid > 0) await this.#exited;
  }
}

/** Runs a short command to its end. @throws Error with what it said when it fails */
export function run(...command: readonly [string, ...string[]]): string {
  const [file, ...args] = command;
  const result = spawnSync(file, args, { encoding: 'utf8' });
  if (result.status === 0) return result.stdout;
  const reason = result.error?.message ?? result.stderr.trim();
  throw new Error(`${command.join(' ')}: ${reason}`);
}

/** The path of a program, or undefined when it is not installed. */
export function which(name: string): string | undefined {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const result = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** The first line that a program prints about its version, on either stream. */
export function firstLine(...command: readonly [string, ...string[]]): string {
  const [file, ...args] = command;
  const result = spawnSync(file, args, { encoding: 'utf8', timeout: 5_000 });
  if (result.error !== undefined) return 'unknown version';
  const text = `${result.stdout}\n${result.stderr}`.trim();
  return text.split('\n')[0] ?? '';
}

/** Waits for a condition, for at most a few seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + UNTIL_TIMEOUT_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}`);
    await delay(1);
  }
}
