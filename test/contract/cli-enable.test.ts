// `spliceport enable`, `disable`, `status` and `path`, by a user whose folders are the test's own.
// test/podman has Podman itself read what it writes.

import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PodmanReport } from '../../src/cli/podman/report.js';
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

/**
 * In a user namespace without a map nobody is root, and root's files can be written all the same.
 */
const asNobody = ['unshare', '--user', process.execPath];

function run(words: string, env: NodeJS.ProcessEnv = {}): Promise<CliOutcome> {
  const own = { HOME: home, XDG_CONFIG_HOME: '', CONTAINERS_CONF: '' };
  return cli(words.split(' '), {
    command: [...asNobody, program],
    env: { ...own, CONTAINERS_HELPER_BINARY_DIR: '', ...env },
  });
}

async function report(words = 'status', env: NodeJS.ProcessEnv = {}): Promise<PodmanReport> {
  const { code, stdout } = await run(`${words} --json`, env);
  expect(code).toBe(0);
  const value = JSON.parse(stdout) as PodmanReport & { readonly podman?: PodmanReport };
  return value.podman ?? value;
}

/** The lines that `enable` would write. */
const lines = async (): Promise<string> => (await run('enable podman --dry-run')).stdout;

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

describe('spliceport enable and disable', () => {
  test('write a file and remove it, and change nothing the second time', async () => {
    const enabled = await run('enable podman');
    expect(enabled).toMatchObject({ code: 0, stdout: '' });
    expect(enabled.stderr).toContain(`Wrote ${file}.`);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(
      /^# Written by "spliceport enable podman".*\n\[engine\]\nhelper_binaries_dir = \[\n( {2}"\/.*",\n)+\]\n$/,
    );
    expect(foldersOf(text)[0]).toBe(libexec);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    const helper = `${libexec}/rootlessport`;
    expect(await report()).toMatchObject({ enabled: true, helper, setBy: file });
    const { mtimeMs } = statSync(file);
    const again = await run('enable podman');
    expect(again).toMatchObject({ code: 0 });
    expect(again.stderr).toContain('nothing has changed');
    expect(statSync(file).mtimeMs).toBe(mtimeMs);
    expect((await run('disable podman')).stderr).toContain(`Removed ${file}.`);
    expect(existsSync(file)).toBe(false);
    expect(await report()).toMatchObject({ enabled: false });
    const twice = await run('disable podman');
    expect(twice).toMatchObject({ code: 0 });
    expect(twice.stderr).toContain('nothing has changed');
  });

  test('print what they would do with --dry-run, and do nothing', async () => {
    const before = await run('enable podman --dry-run');
    expect(before.code).toBe(0);
    expect(foldersOf(before.stdout)[0]).toBe(libexec);
    expect(before.stderr).toContain(`These lines would be written to ${file}.`);
    expect(existsSync(file)).toBe(false);
    await run('enable podman');
    expect(readFileSync(file, 'utf8')).toBe(before.stdout);
    expect((await run('disable podman --dry-run')).stderr).toContain(`${file} would be removed.`);
    expect(existsSync(file)).toBe(true);
  });

  test('print JSON with --json', async () => {
    const { files, ...rest } = await report('enable podman');
    expect(files).toEqual({
      user: file,
      allUsers: '/etc/containers/containers.conf.d/spliceport.conf',
    });
    expect(rest).toMatchObject({ enabled: true, file, changed: true, setBy: file });
    expect(await report('disable podman')).toMatchObject({ enabled: false, changed: true });
    expect(await report('disable podman')).toMatchObject({ changed: false, wouldChange: false });
  });

  test('use $XDG_CONFIG_HOME as Podman does', async () => {
    const { files } = await report('enable podman', { XDG_CONFIG_HOME: join(home, 'xdg') });
    expect(files.user).toBe(join(home, 'xdg/containers/containers.conf.d/spliceport.conf'));
    expect(existsSync(files.user ?? '')).toBe(true);
  });

  test('keep the folders that Podman’s files name, after the new one', async () => {
    const other = configure(
      'containers.conf',
      `[engine]\n# helper_binaries_dir = ["/no"]\nhelper_binaries_dir = [\n  # "/neither]",\n  "/one", '/two',\n]\n`,
    );
    expect((await report()).setBy).toBe(other);
    expect(foldersOf(await lines())).toEqual([libexec, '/one', '/two']);
    await run('enable podman');
    configure('containers.conf', 'engine.helper_binaries_dir = ["/three"]\n');
    expect(await report('enable podman')).toMatchObject({ changed: true });
    expect(foldersOf(readFileSync(file, 'utf8')), 'a second time').toEqual([libexec, '/three']);
  });

  test('know which lists Podman appends to each other', async () => {
    configure('containers.conf.d/10.conf', '[engine]\nhelper_binaries_dir = ["/two"]\n');
    configure('containers.conf', '[engine]\nhelper_binaries_dir = ["/one"]\n');
    expect(foldersOf(await lines())).toEqual([libexec, '/two']);
    configure('containers.conf', '[engine]\nhelper_binaries_dir = ["/one", {append=true}]\n');
    expect(foldersOf(await lines()).slice(-2)).toEqual(['/one', '/two']);
  });

  test('warn if another file overrides theirs', async () => {
    const later = configure('containers.conf.d/zz.conf', '[engine]\nhelper_binaries_dir = ["/x"]');
    const { code, stdout, stderr } = await run('enable podman');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`wrote ${file}, but Podman still starts no helper\n${later} `);
  });

  test('warn if a variable overrides their file', async () => {
    const folder = join(home, 'other');
    mkdirSync(folder);
    writeFileSync(join(folder, 'rootlessport'), '#!/bin/sh\n', { mode: 0o755 });
    const { code, stderr } = await run('enable podman', { CONTAINERS_HELPER_BINARY_DIR: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(`starts ${folder}/rootlessport\nCONTAINERS_HELPER_BINARY_DIR sets`);
    expect(await report('status', { CONTAINERS_HELPER_BINARY_DIR: `${libexec}/` })).toMatchObject({
      enabled: true,
    });
  });

  test('leave alone what somebody has listed in a file of their own', async () => {
    const text = `[engine]\nhelper_binaries_dir = ["${libexec}"]\n`;
    const own = configure('containers.conf', text);
    expect(await report('enable podman')).toMatchObject({ enabled: true, changed: false });
    expect(existsSync(file)).toBe(false);
    const { code, stderr } = await run('disable podman');
    expect(code).toBe(1);
    expect(stderr).toContain(
      `Podman still starts ${libexec}/rootlessport\n${own} names its folder`,
    );
    expect(readFileSync(own, 'utf8')).toBe(text);
  });

  test.each(['enable', 'disable'])(
    'do not %s if somebody else wrote the file, or has changed it',
    async (action) => {
      const text = '# mine\n[engine]\n';
      expect(configure('containers.conf.d/spliceport.conf', text)).toBe(file);
      const { code, stderr } = await run(`${action} podman`);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^spliceport: .*spliceport\.conf was not written by "spliceport enable podman"\n/,
      );
      expect(readFileSync(file, 'utf8')).toBe(text);
      rmSync(file);
      await run('enable podman');
      const changed = `${readFileSync(file, 'utf8')}[containers]\nnetns = "bridge"\n`;
      writeFileSync(file, changed);
      expect((await run(`${action} podman`)).stderr).toContain(
        'spliceport.conf was changed by hand',
      );
      expect(readFileSync(file, 'utf8')).toBe(changed);
    },
  );

  test.each(['enable', 'disable'])('do not %s if a file is not valid TOML', async (action) => {
    await run('enable podman');
    const before = readFileSync(file, 'utf8');
    const broken = configure('containers.conf', '[engine]\nhelper_binaries_dir = [ "/one"\n');
    const { code, stdout, stderr } = await run(`${action} podman`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      new RegExp(
        `^spliceport: ${broken} is not valid TOML: line \\d+, column \\d+: \\S.*\n.*has changed nothing`,
      ),
    );
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  test('report a home that cannot be written to, and where the lines are', async () => {
    const script = `mount -t tmpfs tmpfs ${home} && mkdir ${home}/.config && mount -o remount,ro ${home} &&
      exec unshare --user "$@"`;
    const outcome = await cli(['enable', 'podman'], {
      command: ['unshare', '--mount', 'sh', '-c', script, 'sh', process.execPath, program],
      env: {
        HOME: home,
        XDG_CONFIG_HOME: '',
        CONTAINERS_CONF: '',
        CONTAINERS_HELPER_BINARY_DIR: '',
      },
    });
    expect(outcome).toMatchObject({ code: 4, stdout: '' });
    expect(outcome.stderr).toMatch(
      /^spliceport: cannot change .*: the file system is read-only\n"spliceport enable podman --dry-run" prints the lines/,
    );
  });

  test('report that a user without a home has no file', async () => {
    const { code, stderr } = await run('enable podman', { HOME: '' });
    expect(code).toBe(1);
    expect(stderr).toContain('HOME is not set');
    expect((await report('status', { HOME: '' })).files.user).toBe(null);
  });

  test('with --system are for root', async () => {
    // With an /etc/containers of its own, whatever comes of it.
    const script = 'mount -t tmpfs tmpfs /etc/containers && exec unshare --user "$@"';
    const { code, stderr } = await cli(['enable', 'podman', '--system'], {
      command: ['unshare', '--mount', 'sh', '-c', script, 'sh', process.execPath, program],
      env: { HOME: home },
    });
    expect(code).toBe(4);
    expect(stderr).toContain('sudo spliceport enable podman --system');
  });

  test('reject an engine that they do not know', async () => {
    const { code, stderr } = await run('enable lxc');
    expect(code).toBe(2);
    expect(stderr).toContain('Allowed choices are podman, docker.');
  });
});

describe('spliceport path', () => {
  test('prints only the folder of the helper', async () => {
    expect(await run('path podman')).toMatchObject({ code: 0, stdout: `${libexec}\n`, stderr: '' });
  });

  test('prints the program for dockerd', async () => {
    expect(await run('path docker-proxy')).toMatchObject({ stdout: `${libexec}/docker-proxy\n` });
  });
});

describe('spliceport status', () => {
  test('shows the helper that Podman starts, and how to make it spliceport’s', async () => {
    const { code, stdout } = await run('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^podman: not enabled\n/);
    expect(stdout).toMatch(
      /Podman of this user (starts \/.*, which does not belong to this|finds no)/,
    );
    expect(stdout).toContain('→ spliceport enable podman\n');
    await run('enable podman');
    const after = await run('status');
    expect(after.stdout).toMatch(/^podman: enabled\n/);
    expect(after.stdout).toContain(
      `starts ${libexec}/rootlessport, which belongs to this spliceport.`,
    );
  });

  test('reads only the file that CONTAINERS_CONF names, and then CONTAINERS_CONF_OVERRIDE', async () => {
    await run('enable podman');
    const only = join(home, 'only.conf');
    writeFileSync(only, '[engine]\nhelper_binaries_dir = ["/only"]\n');
    const env = { CONTAINERS_CONF: only };
    expect(await report('status', env)).toMatchObject({
      enabled: false,
      helper: null,
      setBy: only,
    });
    const last = { ...env, CONTAINERS_CONF_OVERRIDE: file };
    expect(await report('status', last)).toMatchObject({ enabled: true, setBy: file });
  });

  test.each([
    ['podman version 4.3.1', '', 'slirp4netns', true],
    ['podman version 5.4.2', '', 'pasta', false],
    ['podman version 5.4.2', '[containers]\nnetns = "bridge"\n', 'bridge', true],
    ['podman version 5.4.2', '[containers]\nnetns = "private"\n', 'pasta', false],
    ['podman version 5.4.2', '[containers]\nnetns = "host"\n', 'host', false],
    [
      'podman version 5.4.2',
      '[network]\ndefault_rootless_network_cmd = "slirp4netns"\n',
      'slirp4netns',
      true,
    ],
    [
      'podman version 4.3.1',
      '[engine]\nnetwork_cmd_options = ["port_handler=slirp4netns"]\n',
      'slirp4netns',
      false,
    ],
  ])(
    'for %s with %j names the network %s; it asks the helper: %s',
    async (version, text, name, asksHelper) => {
      const podman = join(home, 'podman');
      writeFileSync(podman, `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
      configure('containers.conf', text);
      const env = { PATH: `${home}:/usr/bin:/bin` };
      expect((await report('status', env)).network).toMatchObject({ name, asksHelper });
      const { stdout } = await run('status', env);
      expect(stdout).toMatch(new RegExp(`started without --network use ${name}\\b`));
      expect(stdout.includes('Podman asks its helper')).toBe(asksHelper);
    },
  );

  test('reports a file that is not valid TOML', async () => {
    const broken = configure('containers.conf', 'netns = \n');
    const { code, stdout } = await run('status');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^podman: unknown\n/);
    expect(stdout).toContain(`${broken} is not valid TOML: line 1`);
  });
});

describe('spliceport enable, run by root', () => {
  /** An installation, with as much as the command needs. */
  function install(): string {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    for (const part of ['lib', 'libexec', 'package.json']) {
      cpSync(join(root, part), join(home, part), { recursive: true });
    }
    for (const name of ['commander', 'smol-toml']) {
      const part = join('node_modules', name);
      cpSync(join(root, part), join(home, part), { recursive: true });
    }
    return join(home, 'lib/cli/main.js');
  }

  /** Root of a namespace, with an /etc/containers of its own. */
  function asRoot(main: string, action: string): Promise<CliOutcome> {
    const script = `mkdir -p /etc/containers && mount -t tmpfs tmpfs /etc/containers && umask 077 &&
      node=$1 main=$2 && "$node" "$main" ${action}; code=$?
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
    const { code, stdout, stderr } = await asRoot(main, 'enable podman --system');
    expect(stderr).toContain('Rootless Podman starts');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        '755 /etc/containers/containers.conf.d\n644 /etc/containers/containers.conf.d/spliceport.conf\n',
    });
  });

  test('does not write root’s own file, which nobody would read', async () => {
    const { code, stderr } = await asRoot(install(), 'enable podman');
    expect(code).toBe(2);
    expect(stderr).toMatch(/root’s own Podman starts no helper\n.*--system/);
  });

  test('refuses to write it if other users cannot reach the helper', async () => {
    const main = install();
    const { code, stdout, stderr } = await asRoot(main, 'enable podman --system');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(`other users cannot use ${home}/libexec: ${home} is closed to them`);
  });
});
