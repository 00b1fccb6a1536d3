// `spliceport enable podman`: Podman reads what it writes.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { installPackage } from '../helpers/installed-package.js';
import { at } from '../../src/util.js';
import type { Output } from './harness/execute.js';
import { packagedHelpers } from './harness/helper.js';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const installed = '/run/spliceport';
const configuration = '/home/spliceport-test/.config/containers';

describePodman('spliceport enable podman', (host) => {
  beforeAll(() => installPackage(host().machine.outside(installed)));

  const command = ['/run/test/node', `${installed}/lib/cli/main.js`];
  const asUser = (...words: readonly string[]): Promise<Output> => host().machine.asUser(words);

  /** Podman without the variable that names our helper. */
  const runWeb = (port: number): Promise<Output> =>
    asUser('podman', 'run', '-d', '--network', 'bridge', '-p', `${port}:80`, ...httpd);

  /** What it says of itself, and whether Podman then starts ours. */
  async function isUsed(): Promise<{ told: boolean; seen: boolean }> {
    const port = await host().sockets.freePorts();
    const { stdout } = await asUser(...command, 'status', '--json');
    const { stderr } = await runWeb(port);
    const seen = host().isForwarded(port);
    if (seen) expect(await host().fetchSoon({ port })).toBe(hello);
    // The packaged helper is a decoy here.
    else expect(stderr).toContain('the packaged helper was run');
    return { told: (JSON.parse(stdout) as { podman: { enabled: boolean } }).podman.enabled, seen };
  }

  test.each([
    ['by a user', (action: string) => host().machine.asUser([...command, action, 'podman'])],
    [
      'by root, for all',
      (action: string) => host().machine.asRoot([...command, action, 'podman', '--system']),
    ],
  ])('makes Podman use spliceport, and undoes it: %s', async (_, run) => {
    expect(await isUsed()).toEqual({ told: false, seen: false });
    expect(await run('enable')).toMatchObject({ code: 0 });
    expect(await isUsed()).toEqual({ told: true, seen: true });
    await host().clear();
    expect(await run('disable')).toMatchObject({ code: 0 });
    expect(await isUsed()).toEqual({ told: false, seen: false });
  });

  test('reads Podman’s files in Podman’s order', async () => {
    const file = (name: string): string => host().machine.outside(`${configuration}/${name}`);
    const list = '[engine]\nhelper_binaries_dir = ["/usr/libexec/podman", "/usr/lib/podman"]\n';
    mkdirSync(file('containers.conf.d'), { recursive: true });
    writeFileSync(file('containers.conf'), list);
    expect(await asUser(...command, 'enable', 'podman')).toMatchObject({ code: 0 });
    expect(await isUsed()).toEqual({ told: true, seen: true });
    writeFileSync(file('containers.conf.d/zz.conf'), list);
    expect(await isUsed()).toEqual({ told: false, seen: false });
    rmSync(file('containers.conf.d'), { recursive: true });
    expect(await host().machine.asRoot([...command, 'enable', 'podman', '--system'])).toMatchObject(
      { code: 0 },
    );
    // The user's own file comes after those of all users.
    expect(await isUsed()).toEqual({ told: false, seen: false });
    rmSync(file('containers.conf'));
    expect(await isUsed()).toEqual({ told: true, seen: true });
  });

  test('shows which helper serves each container', async () => {
    const own = at(
      packagedHelpers.filter((path) => existsSync(host().machine.outside(path))),
      0,
    );
    const { code, stderr } = await host().machine.asRoot(['umount', own]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const start = async (name: string): Promise<string> => {
      const port = await host().sockets.freePorts();
      const args = ['-d', '--name', name, '--network', 'bridge', '-p', `${port}:80`, ...httpd];
      const { stdout } = await asUser('podman', 'run', ...args);
      expect(await host().fetchSoon({ port })).toBe(hello);
      return stdout.trim();
    };
    await host().machine.asRoot([...command, 'disable', 'podman', '--system']);
    await asUser(...command, 'disable', 'podman');
    const old = await start('old');
    expect(await asUser(...command, 'enable', 'podman')).toMatchObject({ code: 0 });
    const recent = await start('recent');
    const { stdout } = await asUser(...command, 'status', '--json');
    const { containers, version } = JSON.parse(stdout) as Record<string, unknown>;
    expect(containers).toEqual([
      expect.objectContaining({
        container: { id: recent, name: 'recent' },
        helper: 'spliceport',
        version,
      }),
      expect.objectContaining({
        container: { id: old, name: 'old' },
        helper: own,
        version: null,
      }),
    ]);
    const text = await asUser(...command, 'status');
    expect(text.stdout).toMatch(new RegExp(`^old \\(\\w{12}\\) +${own} +\\d+$`, 'm'));
    expect(text.stderr).toContain('1 of 2 are not served by spliceport');
    await host().clear();
    await asUser(...command, 'disable', 'podman');
  });
});
