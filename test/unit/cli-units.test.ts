import { describe, expect, test } from 'vitest';
import {
  count,
  formatBytes,
  formatDuration,
  formatHost,
  formatRate,
} from '../../src/cli/text/units.js';

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [1_234, '1.2 kB'],
    [9_949, '9.9 kB'],
    [9_950, '10 kB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [34_000_000, '34 MB'],
    [2.5e9, '2.5 GB'],
    [7e12, '7.0 TB'],
    [7e18, '7000 PB'],
  ])('shows %d as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test('rounds a fraction of a byte up to one', () => {
    expect(formatRate(0.4)).toBe('0 B/s');
    expect(formatRate(1_500)).toBe('1.5 kB/s');
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [59_999, '59s'],
    [60_000, '1m00s'],
    [3_599_000, '59m59s'],
    [3_600_000, '1h00m'],
    [86_399_000, '23h59m'],
    [86_400_000, '1d00h'],
    [31 * 86_400_000 + 3 * 3_600_000, '31d03h'],
  ])('shows %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

test('formatHost puts an IPv6 address in brackets, and a star for every address', () => {
  expect(formatHost({ address: '127.0.0.1', port: 80 })).toBe('127.0.0.1:80');
  expect(formatHost({ address: '::1', port: 80 })).toBe('[::1]:80');
  expect(formatHost({ address: '::', port: 80, dualStack: true })).toBe('*:80');
  expect(formatHost({ address: '::', port: 80, dualStack: false })).toBe('[::]:80');
});

test('count adds an s unless there is one', () => {
  expect([0, 1, 2].map((number) => count(number, 'session'))).toEqual([
    '0 sessions',
    '1 session',
    '2 sessions',
  ]);
});
