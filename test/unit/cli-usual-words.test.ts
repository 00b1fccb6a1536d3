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
  ])('are translated: %s means %s', (given, taken) => {
    expect(withUsualWords(given.split(' '), ['ls']).join(' ')).toBe(taken);
  });
});

describe('a word that is not a command', () => {
  test.each([
    ['fwd', 'forward'],
    ['LS', 'ls'],
    ['Fwd', 'forward'],
    ['ls', undefined],
    ['nosuch', undefined],
    ['--help', undefined],
    ['', undefined],
  ])('is looked up: %s stands for %s', (word, command) => {
    expect(commandMeant(word, ['forward', 'ls'])).toBe(command);
  });

  test('of another program stands for a command that exists', () => {
    const program = buildProgram(() => undefined);
    const names = program.commands.map((command) => command.name());
    for (const word of ['config', 'delete', 'expose', 'fwd', 'publish', 'remove', 'watch']) {
      expect(names).toContain(commandMeant(word, names));
    }
  });
});
