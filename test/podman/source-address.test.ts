import { describe, expect, test } from 'vitest';
import { server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';
import { askUdp } from './harness/transfers.js';

// A connection from 127.0.0.1 would look local to the server: CVE-2021-20199.
describePodman('the client that a container sees', (host) => {
  const seen = async (hostAddress: string, ...args: readonly string[]): Promise<string[]> => {
    const port = await host().sockets.freePorts();
    const prefix = hostAddress === '' ? '' : `${hostAddress}:`;
    const publish = [`${prefix}${port}:8080`, `${prefix}${port}:5353/udp`].flatMap((one) => [
      '-p',
      one,
    ]);
    await host().run(...args, ...publish, ...server('whoami:8080', 'udp:5353'));
    expect(host().isForwarded(port)).toBe(true);
    const address = hostAddress.includes(':') ? '::1' : '127.0.0.1';
    const socket = await host().sockets.udp(address);
    const { text } = await askUdp(socket, 'whoami', { address, port });
    socket.close();
    return [await host().seenAddress({ address, port }), text];
  };

  for (const [where, hostAddress] of [
    ['every address', ''],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const) {
    test(`is not 127.0.0.1 on the default network, with the port on ${where}`, async () => {
      expect(await seen(hostAddress)).toEqual(['10.0.2.100', '10.0.2.100']);
    });

    test(`has an address of the container's network, with the port on ${where}`, async () => {
      await host().podman('network', 'create', '--subnet', '172.30.1.0/24', 'n1');
      const addresses = await seen(hostAddress, '--network', 'n1');
      for (const address of addresses) expect(address).toMatch(/^172\.30\.1\.\d+$/);
    });
  }

  test('has an address of the range given to slirp4netns', async () => {
    const addresses = await seen('', '--network', 'slirp4netns:cidr=10.55.0.0/24');
    expect(addresses).toEqual(['10.55.0.100', '10.55.0.100']);
  });

  describe('in a user namespace that keeps the user’s id', () => {
    test('is not 127.0.0.1 on a bridge', async () => {
      const addresses = await seen('127.0.0.1', '--userns=keep-id', '--network', 'bridge');
      for (const address of addresses) expect(address).toMatch(/^10\.88\.\d+\.\d+$/);
    });

    test('is not 127.0.0.1 on the default network', async () => {
      expect(await seen('127.0.0.1', '--userns=keep-id')).toEqual(['10.0.2.100', '10.0.2.100']);
    });
  });
});
