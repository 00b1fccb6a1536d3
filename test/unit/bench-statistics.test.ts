// bench-statistics.test.ts: the arithmetic behind the tables of the benchmark.

import { describe, expect, test } from 'vitest';
import { compare, type ScenarioResult } from '../../bench/results.js';
import { best, median, ratio, rotate, summarize } from '../../bench/statistics.js';
import type { Figures } from '../../bench/types.js';

describe('the statistics of the benchmark', () => {
  test('take the median of values in any order, and do not reorder them', () => {
    const values = [9, 1, 5];
    expect(median(values)).toBe(5);
    expect(values).toEqual([9, 1, 5]);
  });

  test('take the mean of the two middle values of an even number', () => {
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });

  test('reject a median of nothing', () => {
    expect(() => median([])).toThrow(RangeError);
    expect(summarize([])).toBeUndefined();
  });

  test('give the spread beside the median', () => {
    expect(summarize([2, 8, 3])).toEqual({ median: 3, min: 2, max: 8, count: 3 });
  });

  test('give no ratio to zero', () => {
    expect(ratio(3, 2)).toBe(1.5);
    expect(ratio(3, 0)).toBeUndefined();
    expect(ratio(undefined, 2)).toBeUndefined();
    expect(ratio(3, undefined)).toBeUndefined();
  });

  test('find the best in the direction that is better', () => {
    expect(best([2, 5, 3], 'higher')).toBe(5);
    expect(best([2, 5, 3], 'lower')).toBe(2);
    expect(best([], 'lower')).toBeUndefined();
  });

  test('have every program run first in one of as many rounds', () => {
    const order = ['a', 'b', 'c'];
    const firsts = [0, 1, 2].map((round) => rotate(order, round)[0]);
    expect(firsts).toEqual(order);
    expect(rotate(order, 4)).toEqual(['b', 'c', 'a']);
    expect(rotate([], 2)).toEqual([]);
  });
});

function result(headline: 'rate' | 'p50Micros', rows: Record<string, Figures[]>): ScenarioResult {
  return {
    scenario: {
      name: 'x',
      title: 'x',
      group: 'tcp',
      protocol: 'tcp',
      unit: '/s',
      headline,
      byDefault: true,
    },
    rows: Object.entries(rows).map(([driver, rounds]) => ({
      driver,
      kind: driver.split(':')[0] ?? driver,
      rounds,
    })),
  };
}

describe('a comparison of programs', () => {
  const rates = (...values: number[]): Figures[] => values.map((rate) => ({ rate, cpu: rate / 2 }));

  test('divides medians, by the reference and by the best other program', () => {
    const rows = compare(
      result('rate', {
        spliceport: rates(30, 10, 20),
        rootlessport: rates(10, 10, 40),
        pasta: rates(16, 16, 16),
        direct: rates(99, 99, 99),
      }),
      'rootlessport',
    );
    const spliceport = rows.find((row) => row.driver === 'spliceport');
    expect(spliceport?.toReference).toBe(2);
    expect(spliceport?.toBestPeer).toBe(1.25);
    expect(spliceport?.cpuToReference).toBe(2);
  });

  test('compares a peer with the other peers, not with itself', () => {
    const rows = compare(
      result('rate', { pasta: rates(16), haproxy: rates(8), 'spliceport:old': rates(64) }),
      'rootlessport',
    );
    expect(rows.map((row) => row.toBestPeer)).toEqual([0.5 ** -1, 0.5, 4]);
  });

  test('takes the least as the best if less is better', () => {
    const rows = compare(
      result('p50Micros', {
        spliceport: [{ p50Micros: 30 }],
        rootlessport: [{ p50Micros: 90 }],
        pasta: [{ p50Micros: 60 }],
      }),
      'rootlessport',
    );
    expect(rows[0]?.toBestPeer).toBe(0.5);
    expect(rows[0]?.toReference).toBeCloseTo(1 / 3);
  });

  test('has no ratios for a program that failed', () => {
    const [row] = compare(result('rate', { haproxy: [], rootlessport: rates(1) }), 'rootlessport');
    expect(row?.toReference).toBeUndefined();
    expect(row?.figures.rate).toBeUndefined();
  });
});
