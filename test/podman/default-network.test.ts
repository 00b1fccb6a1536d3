// What README.md says of the default network: by slirp4netns the helper is asked, by pasta it is
// not.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman, podmanMajor } from './harness/suite.js';

describePodman('the default network of podman', (host) => {
  // Podman 4 has no such default.
  const testSince5 = podmanMajor >= 5 ? test : (): void => undefined;

  testSince5('uses pasta instead of a helper', async () => {
    const file = '/run/test/plain.conf';
    writeFileSync(host().machine.outside(file), '[engine]\ncgroup_manager = "cgroupfs"\n');
    const port = await host().sockets.freePorts();
    const plain = { env: { CONTAINERS_CONF: file } };
    const run = ['run', '-d', '-p', `${port}:80`, ...httpd];
    expect(await host().tryPodman(run, plain)).toMatchObject({ code: 0 });
    expect(await host().fetchSoon({ port })).toBe(hello);
    expect(host().helpers()).toEqual([]);
  });

  test('uses the helper with --network bridge', async () => {
    const port = await host().sockets.freePorts();
    await host().run('--network', 'bridge', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });

  test('uses the helper if slirp4netns serves it', async () => {
    const port = await host().sockets.freePorts();
    await host().run('--network', 'slirp4netns', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });
});
