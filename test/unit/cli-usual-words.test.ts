import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';
import { commandMeant, withUsualWords } from '../../src/cli/usual-words.js';

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

describe('a word that is no command', () => {
  test.each([
    ['fwd', 'forward'],
    ['LS', 'ls'],
    ['Fwd', 'forward'],
    ['ls', undefined],
    ['nosuch', undefined],
    ['--help', undefined],
    ['', undefined],
  ])('%s is known to stand for %s', (word, command) => {
    expect(commandMeant(word, ['forward', 'ls'])).toBe(command);
  });

  test('of another program stands for a command that there is', () => {
    const program = buildProgram(() => undefined);
    const names = program.commands.map((command) => command.name());
    for (const word of ['config', 'delete', 'expose', 'fwd', 'publish', 'remove', 'watch'])
      expect(names).toContain(commandMeant(word, names));
  });
});
