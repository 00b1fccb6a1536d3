// Holds the commands that the documents show against the program that is to take them, and what
// they say it prints against its sources.

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8');
const pages = [
  ...['README.md', 'SECURITY.md'],
  ...readdirSync(`${root}docs`).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

/** Names for what a person is to put in. */
const values: Readonly<Record<string, string>> = {
  'check|show': 'check',
  ENGINE: 'podman',
  ID: '1',
  NUMBER: '1',
  PID: '1',
  SECONDS: '1',
  SHELL: 'bash',
};

/** How a command begins in a block of code, by what the block is. */
const beginnings: Readonly<Record<string, RegExp>> = {
  sh: /^spliceport (.*)$/gm,
  ini: /^ExecStart=\S*\/spliceport (.*)$/gm,
  '': /^\$ spliceport (.*)$/gm,
};

/** The words after `spliceport` of each command on a page. */
function commandsOn(page: string): string[] {
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  const code = [
    ...blocks.flatMap(([, kind = '', text = '']) => [...text.matchAll(beginnings[kind] ?? /$^/g)]),
    ...page.matchAll(/`spliceport ([^`]+)`/g),
    ...page.matchAll(/\$\(spliceport ([^)]+)\)/g),
  ];
  return code.map(([, words = '']) => words.replace(/ (#|&|[|>&<]) ?.*$/, '').trim());
}

/** Whether the program takes the words; what it says where it does not. */
async function refusalOf(words: readonly string[]): Promise<string> {
  const program = buildProgram(() => undefined);
  let said = '';
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureOutput({ writeErr: (text) => (said += text), writeOut: () => undefined });
  }
  for (const command of program.commands) command.action(() => undefined);
  try {
    await program.parseAsync([...words], { from: 'user' });
    return '';
  } catch (error) {
    const { exitCode } = error as { readonly exitCode?: number };
    return exitCode === 0 ? '' : said || String(error);
  }
}

/** A command without what stands for something else, such as `[ID…]`. */
const plain = (command: string): string[] =>
  command
    .replaceAll(/\[([\w|]+)…?\]/g, (_, name: string) => (name === 'FILE' ? '' : name))
    .replaceAll(/["'\\]/g, '')
    .split(/\s+/)
    .map((word) => values[word.replace('…', '')] ?? word)
    .filter((word) => word !== '' && word !== '…' && word !== 'COMMAND');

const commands = pages.flatMap((page) =>
  [...new Set(commandsOn(read(page)))].map((command): [string, string] => [command, page]),
);

describe('the commands in the documents', () => {
  test('are found', () => {
    expect(commands).toContainEqual(['enable podman', 'docs/install.md']);
    expect(commands).toContainEqual([
      'forward 8080:80 --container web --drain 10',
      'docs/install.md',
    ]);
    expect(commands.length).toBeGreaterThan(40);
  });

  test.each(commands)('are accepted: spliceport %s, in %s', async (command) => {
    expect(await refusalOf(plain(command))).toBe('');
  });
});

describe('docs/troubleshooting.md', () => {
  const sources = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => read(`src/${file}`))
    .join('\n');

  test.each([
    'which belongs to this spliceport',
    'connection to the container failed',
    'pauses of listeners that could not accept',
    'No forwarder of this user is running.',
    'Skipped forwarder ',
    'no answer within ',
    'cannot load the control API',
  ])('quotes what the program says: %s', (text) => {
    expect(read('docs/troubleshooting.md')).toContain(text);
    expect(sources).toContain(text);
  });

  test.each(['connectTimeouts', 'acceptPauses', 'sourceAddressFallbacks'])(
    'names the counter %s as spliceport stats does',
    (field) => {
      const words = field.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      expect(read('docs/troubleshooting.md')).toContain(`\`${words}\``);
      expect(sources).toContain(`readonly ${field}: number`);
    },
  );
});
