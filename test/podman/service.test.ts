// Docker's command line in front of `podman system service`, as users of docker-compose have it.

import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import type { Output } from './harness/execute.js';
import { helperFolder } from './harness/helper.js';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const socket = '/run/test/service/podman.sock';

describePodman('podman system service with docker in front', (host) => {
  const docker = (...args: readonly string[]): Promise<Output> =>
    host().machine.asUser(['docker', '-H', `unix://${socket}`, ...args]);
  const expectDocker = async (...args: readonly string[]): Promise<string> => {
    const output = await docker(...args);
    expect(output).toMatchObject({ code: 0 });
    return output.stdout.trimEnd();
  };

  /** Starts the service; it ends with the machine. */
  async function startService(): Promise<void> {
    await host().machine.asRoot(['install', '-d', '-m', '777', '/run/test/service']);
    const service = `podman system service --time 0 unix://${socket} > /dev/null 2>&1 < /dev/null &`;
    await host().machine.asUser(['sh', '-c', service], {
      env: { CONTAINERS_HELPER_BINARY_DIR: helperFolder },
    });
    await until(() => existsSync(host().machine.outside(socket)), 'the service listens', 10_000);
  }

  test('serves docker run -p, names the port, rejects one in use and frees it again', async () => {
    await startService();
    await host().podman('network', 'create', 'n2');
    const port = await host().sockets.freePorts();
    await expectDocker('run', '-d', '--name', 'web', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
    expect(await expectDocker('port', 'web')).toMatch(new RegExp(`^80/tcp -> .*:${port}$`, 'm'));

    const taken = await docker('run', '-d', '-p', `${port}:80`, ...httpd);
    expect(taken.code).not.toBe(0);
    expect(taken.stderr).toContain('ddress already in use');

    await expectDocker('restart', '-t', '0', 'web');
    expect(await host().fetchSoon({ port })).toBe(hello);
    await expectDocker('rm', '-f', 'web');
    expect(await host().sockets.isFree(port)).toBe(true);
  });
});
