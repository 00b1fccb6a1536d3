// Forwards that are added to podman's helper while it runs, as containers see their clients.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../helpers/container.js';
import { installPackage } from '../helpers/installed-package.js';
import { clientAddress, hostAddress, startOutsideClient } from './harness/outside-client.js';
import { server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const installed = '/run/spliceport';

describePodman('a transparent forward of podman’s helper', (host) => {
  let client: Container;

  beforeAll(async () => {
    installPackage(host().machine.outside(installed));
    client = await startOutsideClient(host());
  });
  afterAll(() => client.stop());

  async function add(spec: string): Promise<number> {
    const { code, stdout, stderr } = await host().machine.asUser([
      '/run/test/node',
      `${installed}/lib/cli/main.js`,
      'add',
      '--json',
      '--source-address',
      'transparent',
      spec,
    ]);
    expect(code, stderr).toBe(0);
    const [forward] = JSON.parse(stdout) as { host: { port: number }; warning?: string }[];
    expect(forward?.warning).toBeUndefined();
    return forward?.host.port ?? 0;
  }

  let lastClient = 0;
  const seenByTcp = (port: number): Promise<string> =>
    client.tcpOpen({ id: `client ${(lastClient += 1)}`, address: hostAddress, port });

  async function expectSeenByUdp(port: number): Promise<void> {
    const socket = await client.udp({ address: clientAddress });
    await socket.send('whoami', { address: hostAddress, port });
    const [reply] = await socket.seenCount(1);
    expect(reply?.from).toBe(`${hostAddress} ${port}`);
    expect(reply?.sha256).toBe(createHash('sha256').update(clientAddress).digest('hex'));
    await socket.close();
  }

  const addressIn = async (network: string): Promise<string> =>
    host().podman(
      'inspect',
      '--format',
      `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`,
      'web',
    );

  describe.each([
    ['with a way out', []],
    ['without one', ['--internal']],
  ])('on a network %s', (_, options) => {
    test('shows the client’s address to TCP and UDP servers, also after the container has moved', async () => {
      for (const n of ['1', '2']) {
        const subnet = `172.30.${n}.0/24`;
        await host().podman('network', 'create', ...options, '--subnet', subnet, `n${n}`);
      }
      const port = await host().sockets.freePorts();
      const services = server('whoami:8080', 'udp:5353');
      await host().run('--name', 'web', '--network', 'n1', '-p', `${port}:8080`, ...services);
      expect(host().isForwarded(port)).toBe(true);
      const address = await addressIn('n1');
      const tcp = await add(`0:${address}:8080`);
      const udp = await add(`0:${address}:5353/udp`);

      expect(await seenByTcp(tcp)).toBe(clientAddress);
      await expectSeenByUdp(udp);

      await host().podman('network', 'connect', 'n2', 'web');
      await host().podman('network', 'disconnect', 'n1', 'web');
      expect(await seenByTcp(tcp)).toBe(clientAddress);
      await expectSeenByUdp(udp);
      // And as it always was, where it is not asked for.
      expect(await seenByTcp(port)).toBe(await addressIn('n2'));
    });
  });
});
