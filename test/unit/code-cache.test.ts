// code-cache.test.ts: a program that was compiled ahead of time, and what becomes of it if node or
// the program changes.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cacheOf, flags, makeCache, programOf, splitStarter } from '../../scripts/code-cache.mjs';

let folder = '';
let starter = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-code-'));
  starter = join(folder, 'main.cjs');
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function build(source: string): void {
  writeFileSync(starter, source);
  splitStarter(starter);
}

function run(...options: readonly string[]): string {
  return execFileSync(process.execPath, [...flags, ...options, starter], {
    encoding: 'utf8',
    env: {},
  });
}

function made(): string {
  const cache = makeCache(starter);
  if (cache === undefined) throw new Error('expected a compiled program');
  return cache;
}

/** Whether V8 takes the compiled form, as in the starter. */
function isTaken(cache: string): boolean {
  const text = `const { readFileSync: read } = require('fs');
    const names = ['exports', 'require', 'module', '__filename', '__dirname'];
    const options = { cachedData: read(process.argv[2]) };
    const compiled = require('vm').compileFunction(read(process.argv[1], 'latin1'), names, options);
    console.log(compiled.cachedDataRejected);`;
  const args = [...flags, '-e', text, programOf(starter), cache];
  return execFileSync(process.execPath, args, { encoding: 'utf8', env: {} }) === 'false\n';
}

const ANSWER = 'const answer = () => 41 + 1; console.log(answer());';

describe('a program that was compiled ahead of time', () => {
  test('is taken by the node that compiled it', () => {
    build(ANSWER);
    expect(isTaken(made())).toBe(true);
    expect(run()).toBe('42\n');
  });

  test('is compiled without the options in the environment, which would make it useless', () => {
    build(ANSWER);
    vi.stubEnv('NODE_OPTIONS', '--max-old-space-size=64');
    expect(isTaken(made())).toBe(true);
  });

  test('is what the program starts with', () => {
    build('console.log(1);');
    const other = readFileSync(made());
    build('console.log(2);');
    expect(run()).toBe('2\n');
    // V8 looks at no more than the length of the source.
    writeFileSync(cacheOf(programOf(starter)), other);
    expect(run()).toBe('1\n');
  });

  test('is the main module, in its own place, and exports what it exports', () => {
    build(
      'exports.x = 1; console.log(require.main === module, require.main.exports.x, __filename);',
    );
    made();
    expect(run()).toBe(`true 1 ${starter}\n`);
    build('module.exports = __dirname;');
    const text = 'console.log(require(process.argv[1]))';
    const output = execFileSync(process.execPath, ['-e', text, starter], { encoding: 'utf8' });
    expect(output).toBe(`${folder}\n`);
  });

  test('is not taken for another one of the same length', () => {
    build('console.log(1);');
    const before = made();
    build('console.log(2);');
    expect(run()).toBe('2\n');
    const after = made();
    expect(after).not.toBe(before);
    expect(existsSync(before)).toBe(false);
    expect(run()).toBe('2\n');
  });

  test('has the flags that the resident is started with', () => {
    const start = readFileSync(new URL('../../native/shim/node_start.cc', import.meta.url), 'utf8');
    expect(start.match(/"--[^"]+"/g)).toEqual(flags.map((flag) => `"${flag}"`));
  });

  test('is named by the version of node and the kind of machine', () => {
    build(ANSWER);
    expect(made()).toContain(`-${process.version}-${process.arch}.cache`);
  });

  test.each([0, 1, 40, 200])('is compiled again if only %i bytes of it are left', (size) => {
    build(ANSWER);
    truncateSync(made(), size);
    expect(run()).toBe('42\n');
  });

  test('is compiled again if it is missing, or node has other flags', () => {
    build(ANSWER);
    expect(run()).toBe('42\n');
    made();
    expect(run('--max-old-space-size=64')).toBe('42\n');
  });

  test('leaves nothing else behind', () => {
    build(ANSWER);
    const cache = made();
    expect(makeCache(starter)).toBe(cache);
    expect(
      readdirSync(folder)
        .map((name) => join(folder, name))
        .sort(),
    ).toEqual([starter, programOf(starter), cache].sort());
  });
});

describe('a program that cannot be compiled ahead of time', () => {
  test('starts as usual', () => {
    build(ANSWER);
    renameSync(programOf(starter), join(folder, 'elsewhere'));
    expect(makeCache(starter)).toBeUndefined();
    renameSync(join(folder, 'elsewhere'), programOf(starter));
    expect(run()).toBe('42\n');
  });

  test('is none if it has characters that its starter would read wrongly', () => {
    expect(() => build('console.log("ü")')).toThrow(/characters outside ASCII/);
  });

  test('has a name of its own', () => {
    build(ANSWER);
    expect(cacheOf(programOf(starter))).not.toBe(programOf(starter));
  });
});
