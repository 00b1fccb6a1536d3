// session-ends.ts: brings the ends of sessions and flows from the engine's queue to whoever wants
// to hear of them.

import { getSystemErrorName } from 'node:util';
import type { NativeEndedSession } from './binding.js';
import type { ForwarderOptions } from '../types/options.js';
import type { EndedSession } from '../types/session.js';

/** Between two batches others have their turn. */
const MAX_BATCH = 256;
/** More than the queues of all workers hold. */
const ALL = 1_048_576;
const MICROS_PER_MS = 1_000;

/** Takes at most so many ends out of the engine's queue. */
export type TakeEnded = (
  most: number,
) => readonly NativeEndedSession[] | Promise<readonly NativeEndedSession[]>;

/**
 * Delivers one batch at a time. What comes meanwhile waits in the engine's queue, which has an end.
 */
export class SessionEnds {
  readonly #take: TakeEnded;
  readonly #tell: ForwarderOptions['onSessionsEnded'];
  #isDelivering = false;

  constructor(take: TakeEnded, tell: ForwarderOptions['onSessionsEnded']) {
    this.#take = take;
    this.#tell = tell;
  }

  /** Delivers what there is, and what comes until there is nothing left. */
  async deliver(): Promise<void> {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      for (;;) {
        const taken = this.#take(MAX_BATCH);
        const batch = taken instanceof Promise ? await taken : taken;
        if (batch.length === 0) break;
        // A failure is a rejection that nobody handles; it does not end the delivery.
        await new Promise<void>((resume) => {
          void this.#deliverBatch(batch).finally(() => setImmediate(resume));
        });
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  /** Delivers what is left, at once: nothing comes after it. */
  async finish(): Promise<void> {
    const taken = this.#take(ALL);
    this.finishWith(taken instanceof Promise ? await taken : taken);
  }

  /** Delivers what somebody else has taken. */
  finishWith(rest: readonly NativeEndedSession[]): void {
    if (rest.length > 0) void this.#deliverBatch(rest);
  }

  async #deliverBatch(batch: readonly NativeEndedSession[]): Promise<void> {
    await this.#tell?.(batch.map(endedSession));
  }
}

function endedSession(native: NativeEndedSession): EndedSession {
  const { durationMicros, connectMicros, errno, ...rest } = native;
  return {
    ...rest,
    durationMs: durationMicros / MICROS_PER_MS,
    ...(connectMicros !== undefined && { connectMs: connectMicros / MICROS_PER_MS }),
    ...(errno !== undefined && { error: getSystemErrorName(errno) }),
  };
}
