// `spliceport podman`, by a user whose folders are the test's own. test/podman has Podman itself read what it writes.

import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PodmanReport } from '../../src/cli/commands/podman.js';
import { cli, program, type CliOutcome } from './helpers/cli.js';

const libexec = fileURLToPath(new URL('../../libexec', import.meta.url));
let home: string;
/** The file that `enable` writes. */
let file: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'spliceport-podman-'));
  file = join(home, '.config/containers/containers.conf.d/spliceport.conf');
});
afterEach(() => rmSync(home, { recursive: true }));

/** In a user namespace without a map nobody is root, and root's files can be written all the same. */
const asNobody = ['unshare', '--user', process.execPath];

function podman(action: string, env: NodeJS.ProcessEnv = {}): Promise<CliOutcome> {
  const own = { HOME: home, XDG_CONFIG_HOME: '', CONTAINERS_CONF: '' };
  return cli(['podman', ...(action === '' ? [] : action.split(' '))], {
    command: [...asNobody, program],
    env: { ...own, CONTAINERS_HELPER_BINARY_DIR: '', ...env },
  });
}

async function report(action = 'show', env: NodeJS.ProcessEnv = {}): Promise<PodmanReport> {
  const { code, stdout } = await podman(`${action} --json`, env);
  expect(code).toBe(0);
  return JSON.parse(stdout) as PodmanReport;
}

/** Writes a file of Podman's configuration. */
function configure(name: string, text: string): string {
  const path = join(home, '.config/containers', name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** The folders of a list, in order. */
const foldersOf = (lines: string): string[] =>
  [...lines.matchAll(/^ {2}"(.*)",$/gm)].map(([, folder = '']) => folder);

describe('spliceport podman', () => {
  test('prints the lines to configure, the helper that Podman starts, and the files', async () => {
    const { code, stdout, stderr } = await podman('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\[engine\]\nhelper_binaries_dir = \[\n( {2}"\/.*",\n)+\]\n$/);
    expect(foldersOf(stdout)[0]).toBe(libexec);
    expect(stderr).toMatch(
      /^Podman of this user (starts \/.*, which does not belong to this|finds no)/m,
    );
    expect(stderr).toContain(`belong in ${file}; "spliceport podman enable"`);
    expect(stderr).toContain('/etc/containers/containers.conf.d/spliceport.conf');
    expect(existsSync(file)).toBe(false);
  });

  test('prints only the folder of the helper with path', async () => {
    expect(await podman('path')).toMatchObject({ code: 0, stdout: `${libexec}\n`, stderr: '' });
  });

  test('prints JSON with --json', async () => {
    expect(await report()).toEqual({
      folder: libexec,
      helper: expect.toSatisfy((helper) => helper === null || typeof helper === 'string') as null,
      enabled: false,
      setBy: expect.toSatisfy((setBy) => setBy === null || typeof setBy === 'string') as null,
      files: { user: file, allUsers: '/etc/containers/containers.conf.d/spliceport.conf' },
      lines: expect.stringContaining(libexec) as string,
    });
  });

  test('enables and disables, and then leaves no file', async () => {
    const enabled = await podman('enable');
    expect(enabled).toMatchObject({ code: 0, stdout: '' });
    expect(enabled.stderr).toContain(`Wrote ${file}.`);
    const { lines } = await report();
    expect(readFileSync(file, 'utf8')).toMatch(/^# Written by "spliceport podman enable"/);
    expect(readFileSync(file, 'utf8')).toContain(`\n${lines}`);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    const helper = `${libexec}/rootlessport`;
    expect(await report()).toMatchObject({ enabled: true, helper, setBy: file });
    expect((await podman('')).stderr).toContain(
      `starts ${helper}, which belongs to this spliceport.`,
    );
    expect(await report('enable'), 'a second time').toMatchObject({ enabled: true, lines });
    expect(await report('disable')).toMatchObject({ enabled: false });
    expect(existsSync(file)).toBe(false);
    expect(await report('disable'), 'a second time').toMatchObject({ enabled: false });
  });

  test('uses $XDG_CONFIG_HOME as Podman does', async () => {
    const { files } = await report('enable', { XDG_CONFIG_HOME: join(home, 'xdg') });
    expect(files.user).toBe(join(home, 'xdg/containers/containers.conf.d/spliceport.conf'));
    expect(existsSync(files.user ?? '')).toBe(true);
  });

  test('keeps the folders that Podman’s files name, after its own', async () => {
    const other = configure(
      'containers.conf',
      `[engine]\n# helper_binaries_dir = ["/no"]\nhelper_binaries_dir = [\n  # "/neither",\n  "/one", '/two',\n]\n`,
    );
    const before = await report();
    expect(before.setBy).toBe(other);
    expect(foldersOf(before.lines)).toEqual([libexec, '/one', '/two']);
    expect(foldersOf((await report('enable')).lines)).toEqual([libexec, '/one', '/two']);
    configure('containers.conf', '[engine]\nhelper_binaries_dir = ["/three"]\n');
    expect(foldersOf((await report('enable')).lines), 'a second time').toEqual([libexec, '/three']);
  });

  test('knows which lists Podman appends to each other', async () => {
    configure('containers.conf.d/10.conf', '[engine]\nhelper_binaries_dir = ["/two"]\n');
    configure('containers.conf', '[engine]\nhelper_binaries_dir = ["/one"]\n');
    expect(foldersOf((await report()).lines)).toEqual([libexec, '/two']);
    configure('containers.conf', '[engine]\nhelper_binaries_dir = ["/one", {append=true}]\n');
    expect(foldersOf((await report()).lines).slice(-2)).toEqual(['/one', '/two']);
  });

  test('warns if another file overrides its own', async () => {
    const later = configure('containers.conf.d/zz.conf', '[engine]\nhelper_binaries_dir = ["/x"]');
    const { code, stdout, stderr } = await podman('enable');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`wrote ${file}, but Podman still starts no helper\n${later} `);
  });

  test('warns if a variable overrides its file', async () => {
    const folder = join(home, 'other');
    mkdirSync(folder);
    writeFileSync(join(folder, 'rootlessport'), '#!/bin/sh\n', { mode: 0o755 });
    const { code, stderr } = await podman('enable', { CONTAINERS_HELPER_BINARY_DIR: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(`starts ${folder}/rootlessport\nCONTAINERS_HELPER_BINARY_DIR sets`);
    expect(await report('show', { CONTAINERS_HELPER_BINARY_DIR: `${libexec}/` })).toMatchObject({
      enabled: true,
    });
  });

  test('reads only the file that CONTAINERS_CONF names', async () => {
    await podman('enable');
    const only = join(home, 'only.conf');
    writeFileSync(only, '[engine]\nhelper_binaries_dir = ["/only"]\n');
    expect(await report('show', { CONTAINERS_CONF: only })).toMatchObject({
      enabled: false,
      helper: null,
      setBy: only,
    });
  });

  test.each(['enable', 'disable'])(
    'does not %s if somebody else wrote the file',
    async (action) => {
      const text = '# mine\n[engine]\n';
      expect(configure('containers.conf.d/spliceport.conf', text)).toBe(file);
      const { code, stderr } = await podman(action);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^spliceport: .*spliceport\.conf was not written by "spliceport podman enable"\n/,
      );
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  test('reports that a user without a home has no file', async () => {
    const { code, stderr } = await podman('enable', { HOME: '' });
    expect(code).toBe(1);
    expect(stderr).toContain('HOME is not set');
    expect((await report('show', { HOME: '' })).files.user).toBe(null);
  });
});

describe('spliceport podman, run by root', () => {
  /** An installation, with as much as the command needs. */
  function install(): string {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    for (const part of ['lib', 'libexec', 'package.json']) {
      cpSync(join(root, part), join(home, part), { recursive: true });
    }
    cpSync(join(root, 'node_modules/commander'), join(home, 'node_modules/commander'), {
      recursive: true,
    });
    return join(home, 'lib/cli/main.js');
  }

  /** Root of a namespace, with an /etc/containers of its own. */
  function asRoot(main: string, action: string): Promise<CliOutcome> {
    const script = `mkdir -p /etc/containers && mount -t tmpfs tmpfs /etc/containers && umask 077 &&
      node=$1 main=$2 && "$node" "$main" podman ${action}; code=$?
      find /etc/containers -mindepth 1 -printf '%m %p\\n'; exit $code`;
    return cli([], {
      command: [
        ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'],
        ...[process.execPath, main],
      ],
      env: { CONTAINERS_CONF: '', CONTAINERS_HELPER_BINARY_DIR: '', HOME: home },
    });
  }

  test('writes the file for all users, readable whatever root’s umask is', async () => {
    const main = install();
    chmodSync(home, 0o755);
    const { code, stdout, stderr } = await asRoot(main, 'enable');
    expect(stderr).toContain('Rootless Podman starts');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        '755 /etc/containers/containers.conf.d\n644 /etc/containers/containers.conf.d/spliceport.conf\n',
    });
  });

  test('refuses to write it if other users cannot reach the helper', async () => {
    const main = install();
    const { code, stdout, stderr } = await asRoot(main, 'enable');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(`other users cannot use ${home}/libexec: ${home} is closed to them`);
  });
});
