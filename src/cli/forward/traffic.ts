// traffic.ts: from totals to rates.

import type { Stats } from '../../index.js';

/** Traffic over a period. */
export interface Traffic {
  readonly bytesToContainerPerSecond: number;
  readonly bytesToHostPerSecond: number;
  readonly sessionsPerSecond: number;
}

/** The totals that rates are made of. */
export type Totals = Pick<Stats, 'bytesToContainer' | 'bytesToHost' | 'sessionsTotal'>;

/** Turns totals that are read from time to time into rates. */
export class TrafficMeter {
  #last: Totals | undefined;
  #lastMs = 0;

  /**
   * Rates since the previous reading; all zero at the first.
   * @param nowMs - Of a monotonic clock.
   */
  read(totals: Totals, nowMs: number): Traffic {
    const seconds = (nowMs - this.#lastMs) / 1_000;
    const last = this.#last;
    this.#last = totals;
    this.#lastMs = nowMs;
    const rate = (key: keyof Totals): number =>
      last === undefined || seconds <= 0 ? 0 : Math.max(totals[key] - last[key], 0) / seconds;
    return {
      bytesToContainerPerSecond: rate('bytesToContainer'),
      bytesToHostPerSecond: rate('bytesToHost'),
      sessionsPerSecond: rate('sessionsTotal'),
    };
  }
}
