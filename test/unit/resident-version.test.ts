import { expect, test } from 'vitest';
import { isLater } from '../../src/resident/version.js';

test.each([
  ['0.2.0', '0.1.9'],
  ['0.10.0', '0.9.0'],
  ['1.0.0', '0.99.99'],
  ['1.0.0', '1.0.0-beta.1'],
])('%s is later than %s, and not the other way round', (later, earlier) => {
  expect([isLater(later, earlier), isLater(earlier, later)]).toEqual([true, false]);
});

test('a version is not later than itself', () => {
  expect(isLater('0.1.0', '0.1.0')).toBe(false);
});
