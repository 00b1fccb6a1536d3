// trend.ts: whether a series of figures grows, or only goes up and down.

/** A trend of equally spaced values. */
export interface Trend {
  /** Growth from the first value to the last, by the median of all slopes (Theil and Sen). */
  readonly growth: number;
  /**
   * How sure it is that there is a trend at all (Mann and Kendall): above 2.33 by chance once in a
   * hundred.
   */
  readonly significance: number;
}

/** The trend of at least three values. */
export function trendOf(values: readonly number[]): Trend {
  const slopes: number[] = [];
  let score = 0;
  for (const [i, early] of values.entries()) {
    for (let j = i + 1; j < values.length; j++) {
      const rise = (values[j] ?? NaN) - early;
      slopes.push(rise / (j - i));
      score += Math.sign(rise);
    }
  }
  const n = values.length;
  const deviation = Math.sqrt((n * (n - 1) * (2 * n + 5) - tiesOf(values)) / 18);
  return {
    growth: medianOf(slopes) * (n - 1),
    significance: deviation === 0 ? 0 : (score - Math.sign(score)) / deviation,
  };
}

/** What equal values take off the variance of the score. */
function tiesOf(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()].reduce((sum, t) => sum + t * (t - 1) * (2 * t + 5), 0);
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
