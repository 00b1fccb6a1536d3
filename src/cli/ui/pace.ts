// pace.ts: how often to do what takes processor time.

/** The share of one processor that a pace is to stay within. */
const SHARE = 0.008;
/** The weight of the latest time: one that was unusual, such as the first, counts little. */
const WEIGHT = 0.2;

/** Waits longer after what took longer. */
export class Pace {
  readonly #minMs: number;
  readonly #maxMs: number;
  #usualMs = 0;

  constructor({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  /** Notes the processor time that it took once. */
  took(usedMs: number): void {
    this.#usualMs += (usedMs - this.#usualMs) * WEIGHT;
  }

  /** How long to wait now. */
  get waitMs(): number {
    return Math.min(Math.max(this.#usualMs / SHARE, this.#minMs), this.#maxMs);
  }
}
