// `spliceport enable docker --rootless` and its undoing, by a user whose folders are the test's
// own. test/docker starts rootless Docker with what it writes.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isMissing } from '../helpers/tools.js';
import { cli, program, type CliOutcome } from './helpers/cli.js';

const analyze = { command: 'systemd-analyze', package: 'systemd' };
const child = fileURLToPath(new URL('../../libexec/rootlesskit-child', import.meta.url));
const flags = 'DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS';
let home: string;
let units: string;
/** What `enable` writes. */
let dropIn: string;
let service: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'spliceport-docker-'));
  units = join(home, '.config/systemd/user');
  dropIn = join(units, 'docker.service.d/spliceport.conf');
  service = join(units, 'spliceport-docker.service');
});
afterEach(() => rmSync(home, { recursive: true }));

/**
 * In a user namespace without a map nobody is root, and root's files can be written all the same.
 */
const asNobody = ['unshare', '--user', process.execPath];

function run(words: string, command: readonly string[] = [...asNobody, program]) {
  const env = { HOME: home, XDG_CONFIG_HOME: '', XDG_RUNTIME_DIR: home };
  return cli(words.split(' '), { command: [...command], env });
}

const enable = (more = ''): Promise<CliOutcome> => run(`enable docker --rootless${more}`);
const disable = (more = ''): Promise<CliOutcome> => run(`disable docker --rootless${more}`);

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

async function isEnabled(): Promise<unknown> {
  const { stdout } = await run('status --json');
  return (JSON.parse(stdout) as { readonly rootlessDocker: unknown }).rootlessDocker;
}

test('two files are written and removed, and nothing changes the second time', async () => {
  const enabled = await enable();
  expect(enabled).toMatchObject({ code: 0, stdout: '' });
  expect(enabled.stderr).toContain(`Wrote ${dropIn}.`);
  expect(enabled.stderr).toContain(`Wrote ${service}.`);
  expect(enabled.stderr).toContain('systemctl --user daemon-reload');
  expect(readFileSync(dropIn, 'utf8')).toContain(
    `Environment="DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=none"\nEnvironment="${flags}=--state-dir=%t/dockerd-rootless ${child}"\n`,
  );
  expect(readFileSync(service, 'utf8')).toMatch(
    /^ExecStart=".*" ".*main\.js" rootlesskit --wait --state-dir %t\/dockerd-rootless$/m,
  );
  expect(await isEnabled()).toEqual({ enabled: true, pid: null, version: null });
  const { mtimeMs } = statSync(dropIn);
  expect(await enable()).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('nothing has changed') as string,
  });
  expect(statSync(dropIn).mtimeMs).toBe(mtimeMs);
  expect((await disable()).stderr).toContain(`Removed ${dropIn}.`);
  expect([dropIn, service].some((file) => existsSync(file))).toBe(false);
  expect(await isEnabled()).toEqual({ enabled: false, pid: null, version: null });
  expect(await disable()).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('nothing has changed') as string,
  });
});

test('with --dry-run the lines are printed, and nothing is written or removed', async () => {
  const before = await enable(' --dry-run');
  expect(before.code).toBe(0);
  expect(before.stderr).toContain(`These lines would be written to ${dropIn}.`);
  expect(existsSync(units)).toBe(false);
  await enable();
  expect(before.stdout).toContain(readFileSync(dropIn, 'utf8'));
  expect(before.stdout).toContain(readFileSync(service, 'utf8'));
  expect((await disable(' --dry-run')).stderr).toContain(`${dropIn} would be removed.`);
  expect(existsSync(dropIn) && existsSync(service)).toBe(true);
});

test('with --json the files are named, and whether they have changed', async () => {
  const files = [dropIn, service];
  const changes = async (outcome: Promise<CliOutcome>): Promise<unknown> =>
    JSON.parse((await outcome).stdout);
  expect(await changes(enable(' --json --dry-run'))).toEqual({
    ...{ files, changed: false, wouldChange: true },
  });
  expect(await changes(enable(' --json'))).toEqual({ files, changed: true, wouldChange: true });
  expect(await changes(disable(' --json'))).toEqual({ files, changed: true, wouldChange: true });
});

test('flags for RootlessKit that somebody has set are kept, and stay in front', async () => {
  const other = join(units, 'docker.service.d/override.conf');
  write(other, `[Service]\nEnvironment="${flags}=--debug --cidr=10.0.7.0/24"\n`);
  await enable();
  expect(readFileSync(dropIn, 'utf8')).toContain(`"${flags}=--debug --cidr=10.0.7.0/24 --state-d`);
});

test('a drop-in that would win is named, and nothing is written', async () => {
  const other = join(units, 'docker.service.d/zz.conf');
  write(other, '[Service]\nEnvironment=DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=builtin\n');
  const { code, stderr } = await enable();
  expect(code).toBe(1);
  expect(stderr).toContain(`${other} would win over spliceport's file`);
  expect(existsSync(dropIn)).toBe(false);
});

test('a file that somebody else has written, or has changed, is left alone', async () => {
  write(dropIn, '[Service]\n');
  for (const attempt of [enable, disable]) {
    const { code, stderr } = await attempt();
    expect(code).toBe(1);
    expect(stderr).toContain(`${dropIn} was not written by "spliceport enable docker --rootless"`);
  }
  rmSync(dropIn);
  await enable();
  write(service, `${readFileSync(service, 'utf8')}Nice=5\n`);
  const { code, stderr } = await disable();
  expect(code).toBe(1);
  expect(stderr).toContain(`${service} was changed by hand`);
  expect(existsSync(dropIn) && existsSync(service)).toBe(true);
});

test('the files of another installation are replaced', async () => {
  await enable();
  const text = readFileSync(dropIn, 'utf8');
  write(dropIn, text.replace(child, '/elsewhere/rootlesskit-child'));
  expect(await isEnabled()).toMatchObject({ enabled: false });
  await enable();
  expect(readFileSync(dropIn, 'utf8')).toBe(text);
});

test.each([
  ['enable docker', asNobody, 'only rootless Docker can be set up'],
  ['disable docker', asNobody, 'only rootless Docker can be set up'],
  ['enable docker --rootless --system', asNobody, 'rootless Docker is set up by each user'],
  ['enable docker --rootless', [process.execPath], 'root has no rootless Docker'],
  ['enable podman --rootless', asNobody, '--rootless is for docker'],
])('%s is refused with its reason', async (words, command, reason) => {
  const { code, stderr } = await run(words, [...command, program]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining(reason) as string,
  });
});

test.skipIf(isMissing(analyze, 'the check of the units for Docker'))(
  'systemd finds nothing wrong with what is written',
  async () => {
    await enable();
    write(join(units, 'docker.service'), '[Service]\nExecStart=/bin/true\n');
    const files = [join(units, 'docker.service'), service];
    const { stderr, status } = spawnSync(
      'systemd-analyze',
      ['--user', 'verify', '--man=no', ...files],
      {
        encoding: 'utf8',
        env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home },
      },
    );
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  },
);
