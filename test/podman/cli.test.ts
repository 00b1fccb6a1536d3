// The command line, by a user of rootless podman: forwarding to containers, and looking after
// podman's helpers.

import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { installPackage } from '../helpers/installed-package.js';
import { until } from '../helpers/wait.js';
import type { Output } from './harness/execute.js';
import { isShim } from './harness/helper.js';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const installed = '/run/spliceport';

/** What `spliceport forward --json` prints at first. */
interface Ready {
  readonly event: string;
  readonly pid: number;
  readonly forwards: readonly { readonly host: { readonly port: number } }[];
}

describePodman('spliceport under podman', (host) => {
  beforeAll(() => installPackage(host().machine.outside(installed)));

  const command = ['/run/test/node', `${installed}/lib/cli/main.js`];
  const spliceport = (...args: readonly string[]): Promise<Output> =>
    host().machine.asUser([...command, ...args]);

  /** Starts `spliceport forward` in the background, up to its readiness. */
  async function forward(...args: readonly string[]): Promise<Ready> {
    const line = `${command.join(' ')} forward --json ${args.join(' ')} > $HOME/out 2>&1 < /dev/null &`;
    await host().machine.asUser(['sh', '-c', line]);
    const output = (): string => {
      const file = host().machine.outside('/home/spliceport-test/out');
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    };
    const [first = ''] = await until(
      () => output().includes('\n') && output().split('\n'),
      'spliceport forward is ready',
      20_000,
    );
    const ready = JSON.parse(first) as Ready;
    expect(ready, output()).toMatchObject({ event: 'ready' });
    return ready;
  }

  test.each([
    ['on the default network', []],
    ['on a bridge', ['--network', 'bridge']],
    ['in a user namespace of its own', ['--userns', 'keep-id']],
    ['in a user namespace of its own on a bridge', ['--userns', 'keep-id', '--network', 'bridge']],
  ])('forwards to a running container %s', async (_, args) => {
    await host().run('--name', 'web', '--user', '0', ...args, ...httpd);
    const { pid, forwards } = await forward('0:80', '--container', 'web');
    const port = forwards[0]?.host.port ?? 0;
    expect(await host().fetchSoon({ port })).toBe(hello);
    const id = (await host().podman('inspect', '--format', '{{.Id}}', 'web')).slice(0, 12);
    const { stdout } = await spliceport('ls');
    expect(stdout).toMatch(
      new RegExp(`^\\d+/1 .*:${port} .* web \\(${id}\\) +spliceport forward `, 'm'),
    );
    expect(await spliceport('drain', '--for', '0')).toMatchObject({ code: 0, stderr: '' });
    expect(await host().sockets.isFree(port)).toBe(true);
    await until(
      () =>
        !host()
          .machine.processes()
          .some((each) => each.pid === pid),
      'its end',
    );
  });

  test.each([
    ['that is restarted', () => host().podman('restart', '-t', '0', 'web')],
    [
      'that is removed and made anew',
      async () => {
        await host().podman('rm', '-f', '-t', '0', 'web');
        await host().run('--name', 'web', '--user', '0', ...httpd);
      },
    ],
  ])('follows a container %s', async (_, change) => {
    await host().run('--name', 'web', '--user', '0', ...httpd);
    const { forwards } = await forward('0:80', '--container', 'web');
    const port = forwards[0]?.host.port ?? 0;
    expect(await host().fetchSoon({ port })).toBe(hello);
    await change();
    const output = host().machine.outside('/home/spliceport-test/out');
    const isBack = (): boolean => readFileSync(output, 'utf8').includes('"container-back"');
    await until(isBack, 'the container is back', 20_000);
    expect(readFileSync(output, 'utf8')).toContain('"container-ended"');
    expect(await host().fetchSoon({ port })).toBe(hello);
    expect(await spliceport('drain', '--for', '0')).toMatchObject({ code: 0 });
  });

  test('reports that a container has stopped, and how to start it', async () => {
    await host().run('--name', 'web', ...httpd);
    await host().podman('stop', '-t', '0', 'web');
    const { code, stderr } = await spliceport('forward', '0:80', '--container', 'web');
    expect(code).toBe(3);
    expect(stderr).toMatch(/container web is not running \(exited\)\nStart it: podman start web/);
  });

  test('lists podman’s helper, adds a port to it, and names the owner of a port in use', async () => {
    const port = await host().sockets.freePorts();
    const id = await host().run('--name', 'web', '-p', `${port}:80`, ...httpd);
    const listed = await spliceport('ls');
    const row = new RegExp(
      `^(\\d+)/1 .*:${port} .* web \\(${id.slice(0, 12)}\\) +rootlessport `,
      'm',
    );
    expect(listed.stdout).toMatch(row);
    const { code, stdout } = await spliceport('add', '127.0.0.1:0:80');
    expect(code).toBe(0);
    const added = Number(/127\.0\.0\.1:(\d+)/.exec(stdout)?.[1]);
    expect(await host().fetchSoon({ port: added })).toBe(hello);

    const taken = await spliceport('forward', `${port}:80`, '--container', 'web');
    expect(taken.code).toBe(5);
    const program = isShim ? 'libexec/rootlessport' : 'lib/engines/podman.cjs';
    expect(taken.stderr).toMatch(
      new RegExp(
        `Process \\d+ uses port ${port}: ${installed}/${program} \\(container web\\)$`,
        'm',
      ),
    );
    const privileged = await spliceport('forward', '80:80', '--container', 'web');
    expect(privileged.code).toBe(4);
    expect(privileged.stderr).toContain('Use port 1024 or higher');
  });
});
