// `spliceport forward --on-demand`, by a user of rootless podman.

import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { installPackage } from '../helpers/installed-package.js';
import { until } from '../helpers/wait.js';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const installed = '/run/spliceport';

interface Event {
  readonly event: string;
  readonly forwards?: readonly { readonly host: { readonly port: number } }[];
}

describePodman('a container on demand', (host) => {
  beforeAll(() => installPackage(host().machine.outside(installed)));

  const command = ['/run/test/node', `${installed}/lib/cli/main.js`];
  const events = (): Event[] => {
    const file = host().machine.outside('/home/spliceport-test/on-demand');
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Event);
  };
  const seen = (name: string, times = 1): Promise<unknown> =>
    until(
      () => events().filter(({ event }) => event === name).length >= times,
      `${times} × ${name}`,
      30_000,
    );
  const state = (): Promise<string> =>
    host().podman('inspect', '--format', '{{.State.Status}}', 'web');

  test.each([
    ['on a bridge', ['--network', 'bridge']],
    ['without a network', ['--network', 'none']],
    ['in a user namespace of its own', ['--userns', 'keep-id']],
  ])(
    '%s is started by its first client, stopped when it is idle, and started again',
    async (_, args) => {
      await host().podman(
        'create',
        '--name',
        'web',
        '--stop-timeout',
        '0',
        '--user',
        '0',
        ...args,
        ...httpd,
      );
      const line = `exec ${command.join(' ')} forward --json 0:80 --container web --on-demand podman --idle-stop 1s > $HOME/on-demand 2> $HOME/errors < /dev/null &`;
      await host().machine.asUser(['sh', '-c', line]);
      await seen('ready');
      const port = events()[0]?.forwards?.[0]?.host.port ?? 0;
      expect(await state()).toMatch(/^(created|configured)$/);
      // One attempt each: the client waits.
      expect(await host().fetch({ port })).toBe(hello);
      await seen('container-stopping');
      await seen('container-ended');
      await until(async () => (await state()) === 'exited', 'the container has stopped');
      expect(await host().fetch({ port })).toBe(hello);
      expect(await state()).toBe('running');
      await host().machine.asUser([...command, 'drain', '--for', '0']);
      await seen('closed');
    },
  );
});
