// statistics.ts: medians, spreads and ratios. Pure.

/** The middle of a set of figures, and how far they are apart. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/**
 * The middle value; the mean of the two middle ones when their number is even.
 * @throws RangeError when there are none
 */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (lower === undefined || upper === undefined) {
    throw new RangeError('Expected at least one value for a median');
  }
  return (lower + upper) / 2;
}

/** Median and spread, or undefined when there are no values. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    count: values.length,
  };
}

/**
 * `value` as a multiple of `reference`; undefined when either is unknown or the reference is zero.
 */
export function ratio(
  value: number | undefined,
  reference: number | undefined,
): number | undefined {
  if (value === undefined || reference === undefined || reference === 0) return undefined;
  return value / reference;
}

/** The best of some figures: the greatest, or the least when less is better. */
export function best(values: readonly number[], better: 'higher' | 'lower'): number | undefined {
  if (values.length === 0) return undefined;
  return better === 'higher' ? Math.max(...values) : Math.min(...values);
}

/**
 * `items` begun at another place each round, so that none always runs first or after the same
 * neighbour's heat.
 */
export function rotate<T>(items: readonly T[], round: number): T[] {
  const offset = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(offset), ...items.slice(0, offset)];
}
