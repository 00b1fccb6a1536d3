// strace.ts: makes system calls of the helper fail, by strace(1).

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tool } from '../../helpers/tools.js';
import { until, within } from '../../helpers/wait.js';

export const strace: Tool = { command: 'strace', package: 'strace' };

/** Which calls fail, and how. */
export interface Fault {
  readonly call: string;
  readonly error: string;
  /** The calls that fail, as strace counts them in each thread: `3`, `1+`, `5+10`. */
  readonly when: string;
}

/** A folder for the log of one strace. */
export class StraceLog {
  readonly #folder = mkdtempSync(join(tmpdir(), 'spliceport-faults-'));
  readonly path = join(this.#folder, 'log');

  /** The lines so far. */
  get lines(): string[] {
    return readFileSync(this.path, 'utf8').split('\n');
  }

  /** How many calls have failed because they were made to. */
  get injected(): number {
    return this.lines.filter((line) => line.includes('(INJECTED)')).length;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const inject = ({ call, error, when }: Fault): string[] => [
  `--trace=${call}`,
  `--inject=${call}:error=${error}:when=${when}`,
];

/**
 * Stops before it runs a program, so that strace can be attached first: it must not hold the
 * program's descriptors.
 */
export const stopped = (program: string): string[] => [
  'sh',
  '-c',
  'kill -STOP $$; exec "$0"',
  program,
];

/** Lets a stopped program go on under an attached strace. */
export async function goOn(pid: number): Promise<void> {
  await until(
    () => /^State:\s+[Tt]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
    'the stop',
  );
  process.kill(pid, 'SIGCONT');
}

/** A strace that is attached to a process, until it is disposed of. */
export class Attached implements AsyncDisposable {
  readonly log: StraceLog;
  readonly #process: ChildProcess;
  #stderr = '';

  private constructor(log: StraceLog, options: readonly string[]) {
    this.log = log;
    this.#process = spawn('strace', options, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
  }

  /**
   * Attaches.
   * @param scope - All threads that there are and will be, or the main thread alone.
   * @param fault - Default: no call fails, and all are logged.
   */
  static async to(pid: number, scope: 'all' | 'main', fault?: Fault): Promise<Attached> {
    const log = new StraceLog();
    const follow = scope === 'all' ? ['-f'] : [];
    const failing = fault === undefined ? [] : inject(fault);
    const attached = new Attached(log, [...follow, '-o', log.path, ...failing, '-p', String(pid)]);
    await until(() => attached.#stderr.includes(' attached'), `strace on ${pid}`);
    return attached;
  }

  /** Lets the process go. The log is gone with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGINT');
      await within(ended, 'the end of strace');
    }
    this.log[Symbol.dispose]();
  }
}
