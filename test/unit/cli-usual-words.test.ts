import { describe, expect, test } from 'vitest';
import { withUsualWords } from '../../src/cli/usual-words.js';

describe('words that other programs have', () => {
  test.each([
    ['version', '--version'],
    ['-v', '--version'],
    ['help nosuch', 'nosuch'],
    ['help ls', 'help ls'],
    ['help', 'help'],
    ['ls -q', 'ls -q'],
  ])('%s is taken as %s', (given, taken) => {
    expect(withUsualWords(given.split(' '), ['ls']).join(' ')).toBe(taken);
  });
});
