// session-ends.ts: brings the ends of sessions and flows from the engine's queue to whoever wants to hear of them.

import { getSystemErrorName } from 'node:util';
import type { NativeEndedSession, NativeEngine } from './binding.js';
import type { EndedSession, ForwarderOptions } from '../types.js';

/** Between two batches others have their turn. */
const MAX_BATCH = 256;
/** More than the queues of all workers hold. */
const ALL = 1_048_576;
const MICROS_PER_MS = 1_000;

/** Delivers one batch at a time. What comes meanwhile waits in the engine's queue, which has an end. */
export class SessionEnds {
  readonly #engine: Pick<NativeEngine, 'takeEnded'>;
  readonly #owner: number;
  readonly #tell: ForwarderOptions['onSessionsEnded'];
  #isDelivering = false;

  constructor(
    { native, owner }: { readonly native: Pick<NativeEngine, 'takeEnded'>; readonly owner: number },
    tell: ForwarderOptions['onSessionsEnded'],
  ) {
    this.#engine = native;
    this.#owner = owner;
    this.#tell = tell;
  }

  /** Delivers what there is, and what comes until there is nothing left. */
  async deliver(): Promise<void> {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    for (;;) {
      const batch = this.#take(MAX_BATCH);
      if (batch.length === 0) break;
      // A failure is a rejection that nobody handles; it does not end the delivery.
      await new Promise<void>((resume) => {
        void this.#deliverBatch(batch).finally(() => setImmediate(resume));
      });
    }
    this.#isDelivering = false;
  }

  /** Delivers what is left, at once: nothing comes after it. */
  finish(): void {
    const rest = this.#take(ALL);
    if (rest.length > 0) void this.#deliverBatch(rest);
  }

  #take(most: number): EndedSession[] {
    return this.#engine.takeEnded(this.#owner, most).map(endedSession);
  }

  async #deliverBatch(batch: readonly EndedSession[]): Promise<void> {
    await this.#tell?.(batch);
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
