// end-requests.ts: what asks a command in the foreground to end.

import { isatty } from 'node:tty';
import { leaveOuterProcess, outerProcessEnds } from './outer-process.js';
import { watchReader } from '../output-reader.js';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Counts signals, the end of the process that ran this one again, and that of the reader of a pipe, from its making until it
 * is disposed of.
 */
export class EndRequests {
  #pending = 0;
  #wake: (() => void) | undefined;
  readonly #reader: Disposable;

  constructor() {
    for (const signal of signals) process.on(signal, this.#onRequest);
    if (!hasTerminal()) process.off('SIGHUP', this.#onRequest).on('SIGHUP', ignore);
    this.#reader = watchReader(this.#onRequest);
    void outerProcessEnds().then(this.#onRequest);
  }

  /** Settles at the first request that was not waited for yet. */
  async next(): Promise<void> {
    if (this.#pending === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#pending -= 1;
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#onRequest);
    process.off('SIGHUP', ignore);
    this.#reader[Symbol.dispose]();
    leaveOuterProcess();
  }

  readonly #onRequest = (): void => {
    this.#pending += 1;
    this.#wake?.();
  };
}

/**
 * Whether a hang-up can be meant for this process. nohup(1) leaves it no terminal; that it has the signal ignored besides
 * cannot be known, because node sets that back when it starts.
 */
function hasTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd));
}

function ignore(): void {
  // A signal that somebody listens to does not end the process.
}
