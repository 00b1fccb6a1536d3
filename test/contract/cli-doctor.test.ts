// `spliceport doctor` on this machine, and on one that has less.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/findings.js';
import { cli, program, type CliOptions } from './helpers/cli.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'spliceport-doctor-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** What it finds, by check. */
async function found(options: CliOptions = {}): Promise<Record<string, Finding>> {
  const { stdout } = await cli(['doctor', '--json'], options);
  const findings = JSON.parse(stdout) as Finding[];
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]));
}

describe('spliceport doctor', () => {
  test('reports the addon and the kernel as OK where the tests run, one check on a line', async () => {
    const { code, stdout, stderr } = await cli(['doctor']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ok +Linux \d/m);
    expect(stdout).toMatch(/^ok +the addon loads and starts$/m);
    expect(stdout).toMatch(/^0 errors, \d+ warnings?\.$/m);
  });

  test('exits with 1 for an invalid settings file, and names the place', async () => {
    const settings = join(folder, 'settings.json');
    writeFileSync(settings, '{ "defaults": { "workers": "many" } }');
    const { code, stdout } = await cli(['doctor'], { env: { SPLICEPORT_CONFIG: settings } });
    expect(code).toBe(1);
    expect(stdout).toContain(`${settings}:1:28: defaults.workers:`);
    expect(stdout).toMatch(/^1 error, /m);
  });

  test('warns of a low limit on open files', async () => {
    const limit = ['sh', '-c', 'ulimit -n 500 && exec "$@"', 'sh', process.execPath, program];
    const { 'open-files': finding } = await found({ command: limit });
    expect(finding).toMatchObject({
      severity: 'warning',
      text: expect.stringContaining('500') as string,
    });
  });

  test('warns of a folder for control sockets that other users can open', async () => {
    const { 'control-socket': finding } = await found({ env: { SPLICEPORT_CONTROL_DIR: '/tmp' } });
    expect(finding).toMatchObject({
      severity: 'warning',
      text: expect.stringContaining('/tmp') as string,
    });
  });

  test('warns if no user namespace can be created', async () => {
    const none = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
    const command = ['unshare', '--user', '--map-root-user', 'sh', '-c', none, 'sh'];
    const { 'user-namespaces': finding } = await found({
      command: [...command, process.execPath, program],
    });
    expect(finding).toMatchObject({ severity: 'warning' });
    expect(finding?.fix).toContain('user.max_user_namespaces');
  });

  test('reports that Podman is not installed', async () => {
    const { podman } = await found({ env: { PATH: folder } });
    expect(podman).toEqual({ check: 'podman', severity: 'note', text: 'podman is not in PATH' });
  });

  test('leaves no new folder for control sockets behind', async () => {
    await found({ env: { SPLICEPORT_CONTROL_DIR: join(folder, 'control') } });
    expect(readdirSync(folder)).toEqual([]);
  });
});
