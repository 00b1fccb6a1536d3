// `podman system migrate` stops every container and gives up the user's namespaces; the next
// command makes new ones. A resident of the old ones may still be there: it serves nobody who is in
// others.

import { readlinkSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { installPackage } from '../helpers/installed-package.js';
import { until } from '../helpers/wait.js';
import { isResident, isShim } from './harness/helper.js';
import { hello, httpd, type PodmanHost } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const installed = '/run/spliceport';

/** podman waits for a container's own process, and this one ignores SIGTERM. */
const stopsSoon = ['--stop-timeout', '1'];

const userNamespaceOf = (pid: number): string => readlinkSync(`/proc/${pid}/ns/user`);

describePodman('podman system migrate', (host) => {
  beforeAll(() => installPackage(host().machine.outside(installed)));

  /** Has a resident come, for plain containers start without one. */
  const list = async (): Promise<void> => {
    const command = ['/run/test/node', `${installed}/lib/cli/main.js`, 'ls'];
    expect(await host().machine.asUser(command)).toMatchObject({ code: 0, stderr: '' });
  };
  const start = async (name: string): Promise<number> => {
    const port = await host().sockets.freePorts();
    await host().run('--name', name, ...stopsSoon, '-p', `${port}:80`, ...httpd);
    expect(await host().fetchSoon({ port })).toBe(hello);
    return port;
  };
  const residents = (): readonly number[] => residentsOf(host());
  const helperOf = (port: number): number => host().ownerOf(port)?.pid ?? -1;
  const rp = async (): Promise<string[]> => {
    const listing = await host().stateFolder();
    return listing.slice(listing.indexOf('rp:')).split('\n').filter(Boolean);
  };

  test('ends every helper, and whatever starts afterwards is served in the new namespaces', async () => {
    await host().podman('network', 'create', 'n1');
    const before = await start('before');
    const bridged = await host().sockets.freePorts();
    await host().run(
      '--name',
      'bridged',
      '--network',
      'n1',
      ...stopsSoon,
      '-p',
      `${bridged}:80`,
      ...httpd,
    );
    const stopped = await start('stopped');
    await host().podman('stop', '-t', '1', 'stopped');
    const oldHelper = helperOf(before);
    const oldNamespace = userNamespaceOf(oldHelper);
    await list();
    const oldResidents = residents();
    expect(oldResidents).toHaveLength(isShim ? 1 : 0);
    expect(await rp()).toHaveLength(2);

    await host().podman('system', 'migrate');
    await until(() => host().helpers().length === 0, 'the end of every helper', 10_000);
    for (const port of [before, bridged, stopped]) {
      expect(await host().sockets.isFree(port)).toBe(true);
    }
    expect(await rp()).toHaveLength(1);

    await host().podman('start', 'before', 'bridged', 'stopped');
    for (const port of [before, bridged, stopped]) {
      expect(await host().fetchSoon({ port })).toBe(hello);
      expect(host().isForwarded(port)).toBe(true);
    }
    const newHelper = helperOf(before);
    expect(userNamespaceOf(newHelper)).not.toBe(oldNamespace);
    await list();
    const newResidents = residents().filter((pid) => !oldResidents.includes(pid));
    expect(newResidents.map(userNamespaceOf)).toEqual(isShim ? [userNamespaceOf(newHelper)] : []);

    await host().podman('stop', '-a', '-t', '1');
    await until(() => host().helpers().length === 0, 'the end of every helper', 10_000);
    for (const port of [before, bridged, stopped]) {
      expect(await host().sockets.isFree(port)).toBe(true);
    }
    expect(await rp()).toHaveLength(1);
  });
});

function residentsOf(host: PodmanHost): readonly number[] {
  return host.machine
    .processes()
    .filter(isResident)
    .map(({ pid }) => pid);
}
