// end-requests.ts: requests to stop a command in the foreground.

import { isatty } from 'node:tty';
import { leaveOuterProcess, outerProcessEnds } from './outer-process.js';
import { watchReader } from '../output-reader.js';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Counts signals, the exit of the process that ran this one again, and that of the reader of a
 * pipe, until it is disposed.
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

  /** Resolves at the first request that was not yet waited for. */
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
 * Whether SIGHUP can be meant for this process. nohup(1) leaves it without a terminal. It also
 * ignores the signal, but that cannot be seen, because Node resets it on start.
 */
function hasTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd));
}

function ignore(): void {
  // A signal with a listener does not end the process.
}
