// operation-queue.ts: carries out operations one after the other, and lets nobody wait for ever.

import { noAnswer, REQUEST_TIMEOUT_MS } from './shim.js';

/** What an operation should know while it is carried out. */
export interface Turn {
  /** Whether its caller has been told that it took too long. */
  readonly isLate: boolean;
}

/** Operations on one shim, which change what the next one finds. */
export class OperationQueue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Carries out an operation after those before it. It is not begun once it is late; if it has
   * begun, it goes on.
   * @throws SpliceportError `ETIMEDOUT`
   */
  run<T>(work: (turn: Turn) => Promise<T>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<T> {
    const turn = { isLate: false };
    const outcome = this.#last.then(() => {
      if (turn.isLate) throw noAnswer(timeoutMs);
      return work(turn);
    });
    this.#last = outcome.catch(() => undefined);
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        turn.isLate = true;
        reject(noAnswer(timeoutMs));
      }, timeoutMs).unref();
      void outcome.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}
