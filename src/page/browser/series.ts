// series.ts: the last minutes of some figures.

/** How much of the past is kept. */
export const SPAN_MS = 5 * 60_000;
/** Samples farther apart are not joined: nobody looked in between. */
export const GAP_MS = 20_000;

/** Rates at one moment. Unit: bytes per second. */
export interface Sample {
  readonly atMs: number;
  readonly toContainer: number;
  readonly toHost: number;
}

/** Samples by time. */
export class Series {
  readonly #samples: Sample[] = [];

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  get last(): Sample | undefined {
    return this.#samples.at(-1);
  }

  add(sample: Sample): void {
    this.#samples.push(sample);
    const old = this.#samples.findIndex(({ atMs }) => atMs >= sample.atMs - SPAN_MS);
    // The one before the span is where its line begins.
    if (old > 1) this.#samples.splice(0, old - 1);
  }
}
