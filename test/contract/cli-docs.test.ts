// Holds the help, docs/cli.md and the manual page against the commands, and the start against its
// budget.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/cli/failure.js';
import { examplesOf } from '../../src/cli/examples.js';
import { buildProgram } from '../../src/cli/program.js';
import { sortKeys } from '../../src/cli/commands/sort-keys.js';
import { parsePortSpec } from '../../src/index.js';
import { isMissing, type Tool } from '../helpers/tools.js';
import { cli, program as programFile } from './helpers/cli.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}docs/cli.md`, 'utf8');
const manual = readFileSync(`${root}docs/spliceport.1`, 'utf8');
const mandoc: Tool = { command: 'mandoc', package: 'mandoc' };

const MAX_START_MS = 100;
const BARE_MS = 40;

const program = buildProgram(() => undefined);
const commands = program.commands.map((command): [string, Command] => [command.name(), command]);

const optionsOf = (command: Command): string[] =>
  command.options.flatMap(({ short, long }) => [short, long].filter((flag) => flag !== undefined));

/** The section of docs/cli.md with this title, up to the next of its level. */
function section(title: string): string {
  return page.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
}

/** What a manual page's text says, without roff. */
const plain = (text: string): string =>
  text
    .replaceAll(/\\f[BIR]/g, '')
    .replaceAll('\\-', '-')
    .replaceAll('\\(aq', "'");

describe('the help', () => {
  test('reports an unknown command', async () => {
    const { code, stdout, stderr } = await cli(['help', 'nosuch']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^spliceport: unknown command 'nosuch'\n/);
  });

  test.each(commands)('of %s is named by the error for an unknown option', async (name) => {
    const { code, stderr } = await cli([name, '--nosuch']);
    expect(code).toBe(2);
    expect(stderr).toContain(`"spliceport ${name} --help"`);
  });

  test.each(commands)('of %s lists its options and examples', async (name, command) => {
    const { code, stdout, stderr } = await cli([name, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of [...optionsOf(command), '--help']) expect(stdout).toContain(option);
    expect(examplesOf(command).length).toBeGreaterThan(0);
    for (const { command: line } of examplesOf(command)) expect(stdout).toContain(`  ${line}\n`);
  });

  test.each(commands)('of %s has examples that the command accepts', async (_name, command) => {
    for (const { command: line } of examplesOf(command)) {
      const text = /spliceport ([^|>)]*)/.exec(line)?.[1] ?? '';
      const words = execFileSync('sh', ['-c', `printf '%s\\n' ${text}`], { encoding: 'utf8' });
      const ran: string[][] = [];
      const stubbed = buildProgram(() => undefined);
      for (const each of stubbed.commands) {
        each.action(() => void ran.push(each.args));
      }
      await stubbed.parseAsync(words.trimEnd().split('\n'), { from: 'user' });
      expect(ran, line).toHaveLength(1);
      const specs = ['forward', 'add'].includes(command.name()) ? (ran[0] ?? []) : [];
      for (const spec of specs.filter((each) => !each.startsWith('@'))) {
        expect(() => parsePortSpec(spec)).not.toThrow();
      }
    }
  });

  test.each([
    ['--help', 0, 'stdout'],
    ['help', 0, 'stdout'],
    ['--version', 0, 'stdout'],
    ['frob', 2, 'stderr'],
  ] as const)('of the program: %s exits with %i and prints to %s', async (word, code, stream) => {
    const outcome = await cli([word]);
    expect(outcome.code).toBe(code);
    expect(outcome[stream]).not.toBe('');
    expect(outcome[stream === 'stdout' ? 'stderr' : 'stdout']).toBe('');
  });

  test('is printed to stderr if no command is given', async () => {
    const outcome = await cli([]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/^Usage: spliceport/);
  });

  test('suggests the command that was meant', async () => {
    expect((await cli(['drian'])).stderr).toContain('Did you mean drain?');
  });

  test.each([
    ['fwd', 'fwd', 'forward'],
    ['LS', 'LS', 'ls'],
    ['help fwd', 'fwd', 'forward'],
  ])('suggests for %s the command that other programs call so', async (line, word, meant) => {
    const { code, stdout, stderr } = await cli(line.split(' '));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(
      `spliceport: unknown command '${word}'\nDid you mean "spliceport ${meant}"?\n`,
    );
  });
});

describe('docs/cli.md', () => {
  test('has a section for each command, in order, and for nothing else', () => {
    const names = commands.map(([name]) => name);
    const titles = [...page.matchAll(/^## ([a-z]+)$/gm)].map(([, title]) => title);
    expect(titles).toEqual(names);
    const linked = [...page.matchAll(/^\| \[`(\w+)[^`]*`\]\(#(\w+)\)/gm)];
    expect(linked.map(([, name]) => name)).toEqual(names);
    expect(linked.map(([, , anchor]) => anchor)).toEqual(names);
  });

  test.each(commands)('documents every option of %s, and no other', (name, command) => {
    const told = section(name).match(/(?<=[\s`(])--?[a-z][\w-]*/g) ?? [];
    // Those of the programs that it is run through, or has in common with.
    const foreign = [
      '--rootless',
      '--port-driver',
      '--preserve-credentials',
      '-t',
      '-p',
      '--network',
    ];
    const own = optionsOf(command);
    for (const option of own) expect(told, option).toContain(option);
    for (const option of told) expect([...own, ...foreign, '-Urn']).toContain(option);
  });

  test('lists every exit code', () => {
    const codes = [...section('Exit codes').matchAll(/^\| (\d) \|/gm)].map(([, code]) =>
      Number(code),
    );
    expect(codes).toEqual(Object.values(exitCodes));
  });

  test('lists every column that top sorts by', () => {
    for (const key of sortKeys) expect(section('top')).toContain(`\`${key}\``);
  });

  test('lists every event, and its fields', () => {
    const source = readFileSync(`${root}src/cli/forward/reports.ts`, 'utf8');
    const [, union = ''] = /export type ForwardEvent =(.*?);\n\n/s.exec(source) ?? [];
    const words = [...union.matchAll(/'(\w+)'|readonly (\w+)\??:/g)].map(
      ([, name, field]) => name ?? field ?? '',
    );
    expect(words).toContain('draining');
    for (const word of words) expect(section('forward')).toContain(`\`${word}\``);
  });
});

describe('the manual page', () => {
  test('is up to date with scripts/man.mjs', () => {
    const made = execFileSync(process.execPath, ['scripts/man.mjs', '--print'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(manual, 'node scripts/man.mjs writes it').toBe(made);
  });

  test.each(commands)('documents %s with its options and examples', (name, command) => {
    const own = manual.split('.SS ').find((text) => plain(text).startsWith(`"${name}`)) ?? '';
    for (const option of optionsOf(command)) expect(plain(own)).toContain(option);
    for (const { command: line } of examplesOf(command)) expect(plain(own)).toContain(line);
  });

  test('documents every exit code and variable of docs/cli.md', () => {
    const text = plain(manual);
    for (const code of Object.values(exitCodes)) expect(text).toContain(`\n.B ${code}\n`);
    const variables = [...section('Environment').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    expect(variables).toContain('NO_COLOR');
    for (const name of variables) expect(text).toContain(`\n.B ${name ?? ''}\n`);
  });

  test('documents every variable that the helper’s errors say to set', () => {
    const helper = readFileSync(`${root}libexec/own-process/rootlessport`, 'utf8');
    const named = [...helper.matchAll(/set (SPLICEPORT_\w+) to/g)].map(([, name = '']) => name);
    expect(named).toContain('SPLICEPORT_NODE');
    for (const name of named) expect(plain(manual)).toContain(`\n.B ${name}\n`);
  });

  test.skipIf(isMissing(mandoc, 'the manual page’s syntax'))('passes mandoc’s checks', () => {
    const { stdout } = spawnSync('mandoc', ['-Tlint', '-Wwarning', `${root}docs/spliceport.1`], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
  });
});

describe('the start of the command line', () => {
  /** The best of several: what the machine does besides only ever adds to it. */
  function fastestMs(args: readonly string[]): number {
    const times = Array.from({ length: 7 }, () => {
      const start = performance.now();
      const { status } = spawnSync(process.execPath, [...args], { stdio: 'ignore' });
      expect(status).toBe(0);
      return performance.now() - start;
    });
    return Math.min(...times);
  }

  test(`with --help takes at most ${MAX_START_MS} ms, where node alone takes ${BARE_MS}`, () => {
    const bareMs = fastestMs(['-e', '0']);
    const helpMs = fastestMs([programFile, '--help']);
    expect(helpMs / bareMs).toBeLessThan(MAX_START_MS / BARE_MS);
  });

  test('with --help does not load the addon', () => {
    const tell = `
      import { Module } from 'node:module';
      process.on('exit', () => {
        const { sharedObjects } = process.report.getReport();
        process.stderr.write([...Object.keys(Module._cache), ...sharedObjects].join('\\n'));
      });`;
    const preload = `data:text/javascript,${encodeURIComponent(tell)}`;
    const args = ['--import', preload, programFile, '--help'];
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toContain('/commander/');
    expect(stderr).not.toContain('spliceport.node');
  });
});
