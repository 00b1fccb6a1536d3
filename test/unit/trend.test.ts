import { describe, expect, test } from 'vitest';
import { Random } from '../helpers/random.js';
import { trendOf } from '../soak/trend.js';

const twenty = Array.from({ length: 20 }, (_, index) => index);

describe('the trend of a series', () => {
  test('is the growth of a straight line, and certain', () => {
    const { growth, significance } = trendOf(twenty.map((n) => 100 + 3 * n));
    expect(growth).toBeCloseTo(57);
    expect(significance).toBeGreaterThan(6);
  });

  test('is zero if all values are equal', () => {
    expect(trendOf(twenty.map(() => 7))).toEqual({ growth: 0, significance: 0 });
  });

  test('does not follow single values that stand out', () => {
    const values = twenty.map((n) => (n === 19 ? 100_000 : 100 + (n % 2)));
    expect(trendOf(values).growth).toBeCloseTo(0);
  });

  test('is found under noise of ten times the step', () => {
    const random = new Random(1);
    const values = Array.from({ length: 40 }, (_, n) => n + random.below(10));
    expect(trendOf(values).significance).toBeGreaterThan(2.33);
  });

  test('of noise alone is called significant about once in a hundred times', () => {
    const random = new Random(2);
    const alarms = Array.from({ length: 1_000 }, () =>
      trendOf(twenty.map(() => random.below(1_000))),
    ).filter(({ significance }) => significance > 2.33).length;
    expect(alarms).toBeLessThan(20);
  });
});
