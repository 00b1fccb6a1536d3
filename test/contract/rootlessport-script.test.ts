// The script that is the helper in a process of its own: how it finds node and the bundle, and what
// it hands on. The bundle is replaced by one that tells what it was given.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isMissing, type Tool } from '../helpers/tools.js';
import { Caller, Run } from './helpers/run.js';

const original = fileURLToPath(new URL('../../libexec/own-process/rootlessport', import.meta.url));
const ownFolder = 'libexec/own-process';

let folder: string;
let script: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport script-'));
  for (const name of ['lib/engines', ownFolder, 'bin', 'links/here']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  script = join(folder, ownFolder, 'rootlessport');
  copyFileSync(original, script);
  const status = `require('fs').readFileSync('/proc/self/status', 'utf8')`;
  const fdSize = `Number(/^FDSize:\\s+(\\d+)/m.exec(${status})[1])`;
  const tell = `{ script: __filename, args: process.argv.slice(2), env: process.env, fdSize: ${fdSize} }`;
  writeFileSync(join(folder, 'lib/engines/podman.cjs'), `console.log(JSON.stringify(${tell}))`);
  writeFileSync(join(folder, 'lib/node-path'), `${process.execPath}\n`);
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Told {
  readonly script: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly fdSize: number;
}

interface Start {
  readonly command?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

function start({ command = [script], env = {}, cwd = folder }: Start = {}) {
  const [file = '', ...args] = command;
  const stdio = ['ignore', 'pipe', 'pipe', 'ignore', 'pipe', 'ignore', 'ignore', 'pipe'] as const;
  const { status, stdout, stderr } = spawnSync(file, args, { env, cwd, stdio: [...stdio] });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** What the bundle was given. */
function told(options: Start = {}): Told {
  const { status, stdout, stderr } = start(options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as Told;
}

/** An executable that says its name, in place of node. */
function fakeNode(name: string): string {
  const path = join(folder, 'bin', name);
  writeFileSync(path, `#!/bin/sh\necho ${name}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A copy of the script that does not know where node usually is. */
function withoutUsualPlaces(): void {
  const text = readFileSync(script, 'utf8');
  const usual = /(?:\/usr\/local\/bin|\/usr\/bin)\/node\b/g;
  expect(text.match(usual)).toHaveLength(2);
  writeFileSync(script, text.replaceAll(usual, '/nowhere/node'));
}

describe('the node that runs the helper', () => {
  test('is the one that built it, even without a PATH', () => {
    writeFileSync(join(folder, 'lib/node-path'), `${fakeNode('recorded')}\n`);
    expect(start().stdout).toBe('recorded\n');
  });

  test('is the one that SPLICEPORT_NODE names, before any other', () => {
    writeFileSync(join(folder, 'lib/node-path'), `${fakeNode('recorded')}\n`);
    expect(start({ env: { SPLICEPORT_NODE: fakeNode('named') } }).stdout).toBe('named\n');
  });

  test('is another if the named one cannot be run', () => {
    writeFileSync(join(folder, 'lib/node-path'), `${fakeNode('recorded')}\n`);
    for (const path of [join(folder, 'nothing'), folder, join(folder, 'lib/node-path')]) {
      expect(start({ env: { SPLICEPORT_NODE: path } }).stdout).toBe('recorded\n');
    }
  });

  test('is the one in PATH if there is no other', () => {
    withoutUsualPlaces();
    rmSync(join(folder, 'lib/node-path'));
    fakeNode('node');
    expect(start({ env: { PATH: join(folder, 'bin') } }).stdout).toBe('node\n');
  });

  test('is reported as missing on stdout, with the fix', () => {
    withoutUsualPlaces();
    writeFileSync(join(folder, 'lib/node-path'), join(folder, 'nothing'));
    const stdout = 'spliceport cannot find node: set SPLICEPORT_NODE to its path\n';
    const env = { PATH: join(folder, 'bin') };
    expect(start({ env })).toEqual({ status: 1, stdout, stderr: '' });
  });
});

describe('the helper’s bundle', () => {
  test('is reported on stdout if it has not been built', () => {
    rmSync(join(folder, 'lib/engines/podman.cjs'));
    const { status, stdout, stderr } = start();
    expect(stdout).toMatch(
      /^spliceport is not built: there is no .*\/lib\/engines\/podman\.cjs\n$/,
    );
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  });

  test('reports on stdout that it finds no addon', () => {
    copyFileSync(
      join(original, '../../../lib/engines/podman.cjs'),
      join(folder, 'lib/engines/podman.cjs'),
    );
    const { status, stdout, stderr } = start();
    expect(stdout).toMatch(/^[^\n]*addon[^\n]*\n$/);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  });

  test.for<[string, () => Start]>([
    ['an absolute path', () => ({})],
    ['a relative path', () => ({ command: [`${ownFolder}/rootlessport`] })],
    ['the folder it is in', () => ({ command: ['./rootlessport'], cwd: join(folder, ownFolder) })],
    ['a shell', () => ({ command: ['/bin/sh', 'rootlessport'], cwd: join(folder, ownFolder) })],
    [
      'a copy in the folder above',
      () => {
        copyFileSync(original, join(folder, 'libexec/rootlessport'));
        return { command: ['libexec/rootlessport'] };
      },
    ],
    [
      'a symbolic link',
      () => {
        symlinkSync(script, join(folder, 'links/here/rootlessport'));
        return { command: ['links/here/rootlessport'] };
      },
    ],
    [
      'a symbolic link to its folder',
      () => {
        symlinkSync(`../../${ownFolder}`, join(folder, 'links/here/spliceport'));
        return { command: [join(folder, 'links/here/spliceport/rootlessport')] };
      },
    ],
    [
      'a symbolic link to the folder above',
      () => {
        symlinkSync('../../libexec', join(folder, 'links/here/spliceport'));
        return { command: [join(folder, 'links/here/spliceport/own-process/rootlessport')] };
      },
    ],
    [
      'a chain of relative symbolic links, without a PATH that could follow them',
      () => {
        symlinkSync('here/second', join(folder, 'links/first'));
        symlinkSync(`../../${ownFolder}/rootlessport`, join(folder, 'links/here/second'));
        return { command: [join(folder, 'links/first')], env: { PATH: '/nowhere' } };
      },
    ],
    [
      'a folder that is a symbolic link',
      () => {
        symlinkSync(ownFolder, join(folder, 'helpers'));
        return { command: [join(folder, 'helpers/rootlessport')] };
      },
    ],
  ])('is found from %s', ([, prepare]) => {
    const { script: bundle, args } = told(prepare());
    expect({ bundle, args }).toEqual({ bundle: join(folder, 'lib/engines/podman.cjs'), args: [] });
  });
});

const shells: readonly (Tool & { readonly args: readonly string[] })[] = [
  { command: 'sh', package: 'dash', args: [] },
  { command: 'dash', package: 'dash', args: [] },
  { command: 'bash', package: 'bash', args: ['--posix'] },
  { command: 'busybox', package: 'busybox-static', args: ['sh'] },
];

for (const shell of shells) {
  const title = `what ${shell.command} hands on`;
  describe.skipIf(isMissing(shell, title))(title, () => {
    const command = () => ['/usr/bin/env', shell.command, ...shell.args, script];
    const handAll = (env: NodeJS.ProcessEnv) =>
      told({ command: command(), env: { PATH: process.env['PATH'], ...env } });
    const hand = (env: NodeJS.ProcessEnv) => handAll(env).env;

    test('is an environment without NODE_*, whatever is in it', () => {
      const env = hand({
        NODE_OPTIONS: '--bogus',
        NODE_EXTRA_CA_CERTS: '/nowhere',
        NODE_: '',
        NODE_x9: 'a=b\nexport NODE_OPTIONS=--bogus\nexport NODE_A B=c NODE_ NODE_-',
        B: 'kept',
        NODE_QUOTES: `'"\\$(exit 3)\``,
        MY_NODE_OPTIONS: 'kept',
        NODE: 'kept',
      });
      expect(Object.keys(env).filter((name) => name.startsWith('NODE_'))).toEqual([]);
      expect(env).toMatchObject({ MY_NODE_OPTIONS: 'kept', NODE: 'kept', B: 'kept' });
    });

    test('is every other variable as it was', () => {
      const env = {
        EMPTY: '',
        LINES: 'one\ntwo\n\n',
        QUOTED: `'"\\$(exit 3)\` *`,
        LOOKS_LIKE_IT: `x\nexport NODE_OPTIONS='y'`,
      };
      expect(hand({ ...env, NODE_OPTIONS: '--bogus' })).toMatchObject(env);
      expect(hand(env)).toMatchObject(env);
    });

    test('is a table that has room for 2048 descriptors', () => {
      expect(handAll({}).fdSize).toBeGreaterThanOrEqual(2048);
    });

    test('is the list of the descriptors that were passed, and of no other', () => {
      const { SPLICEPORT_INHERITED_FDS } = hand({ SPLICEPORT_INHERITED_FDS: '99' });
      const passed = start({ command: ['/bin/sh', '-c', 'ls /proc/$$/fd; :'] }).stdout;
      const sorted = (list = '') => list.split(/\s/).filter(Boolean).toSorted();
      expect(sorted(SPLICEPORT_INHERITED_FDS)).toEqual(sorted(passed));
      expect(sorted(passed)).toEqual(expect.arrayContaining(['0', '1', '2', '4', '7']));
      expect(sorted(passed)).not.toContain('3');
    });
  });
}

test('a real start is not disturbed by the NODE_* variables of its caller', async () => {
  using caller = new Caller();
  const NODE_OPTIONS = '--require=/nowhere --inspect-brk';
  const env = { NODE_OPTIONS, NODE_V8_COVERAGE: caller.folder, NODE_DEBUG: 'fs' };
  await using run = new Run(caller.config([]), { env, command: [original] });
  await run.ready();
  expect(await run.letGo()).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  expect(caller.files()).toEqual(['rp']);
});
