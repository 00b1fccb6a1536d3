// The commands of docs/troubleshooting.md that are not of spliceport, as a user types them.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';
import { helperFolder } from './harness/helper.js';

const page = readFileSync(
  fileURLToPath(new URL('../../docs/troubleshooting.md', import.meta.url)),
  'utf8',
);

describePodman('docs/troubleshooting.md', (host) => {
  const start = `podman run -d --network bridge -p 8080:80`;
  /** Runs a line of the page. @param changes - What is different here. */
  async function type(line: string, changes: Readonly<Record<string, string>> = {}) {
    expect(page).toContain(line);
    const actual = Object.entries(changes).reduce(
      (text, [from, to]) => text.replace(from, to),
      line,
    );
    const env = { CONTAINERS_HELPER_BINARY_DIR: helperFolder };
    return host().machine.asUser(['sh', '-c', actual], { env });
  }
  const runWeb = () =>
    host().podman('run', '-d', '--name', 'web', '--network', 'bridge', '-p', '8080:80', ...httpd);

  test('its commands say which network a container has, what listens in it, and who has the port', async () => {
    await runWeb();
    expect(await host().fetchSoon({ port: 8080 })).toBe(hello);
    const mode = await type(`podman inspect -f '{{.HostConfig.NetworkMode}}' web`);
    expect(mode.stdout).toBe('bridge\n');
    const listening = await type(
      `podman unshare nsenter -n -t "$(podman inspect -f '{{.State.Pid}}' web)" ss -ltn`,
    );
    expect(listening.stdout).toMatch(/^State .*\nLISTEN .*:80 /);
    expect((await type(`ss -ltnp 'sport = :8080'`)).stdout).toContain('rootlessport');

    const [owner = 0] = /(?<=pid=)\d+/.exec((await type(`ss -ltnp 'sport = :8080'`)).stdout) ?? [];
    const limit = await type("grep 'open files' /proc/4281/limits", { '4281': String(owner) });
    expect(limit.stdout).toMatch(/^Max open files +\d+ +\d+ +files/);
    expect((await type('ulimit -Hn', {})).stdout).toMatch(/^(\d+|unlimited)\n$/);
  });

  test('a port that another container has is reported in its words', async () => {
    await runWeb();
    const second = await type(`${start} nginx`, { nginx: httpd.join(' ') });
    const [, text = ''] = /^(Error: rootlessport listen .*)$/m.exec(page) ?? [];
    expect(second.stderr).toContain(text);
  });

  test('podman restart gives a container the helper that is enabled now', async () => {
    await runWeb();
    const before = host().ownerOf(8080)?.pid;
    expect(await type('podman restart web', { restart: 'restart -t 0' })).toMatchObject({
      code: 0,
    });
    expect(await host().fetchSoon({ port: 8080 })).toBe(hello);
    expect(host().ownerOf(8080)?.pid).not.toBe(before);
  });
});
