// Servers in rootless Docker that see their clients' real addresses.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../helpers/container.js';
import { until } from '../helpers/wait.js';
import { debianRoot } from '../podman/harness/machine.js';
import {
  clientAddress,
  hostAddress,
  startOutsideClient,
} from '../podman/harness/outside-client.js';
import { RootlessHost, type RootlessOptions } from './rootless-host.js';

/** What the harness tells of a datagram. */
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
let lastClient = 0;

const address = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
const settings = { defaults: { sourceAddress: 'transparent' } };

function describeHost(
  name: string,
  options: RootlessOptions,
  define: (
    host: () => RootlessHost,
    ask: (port: number, protocol?: 'udp') => Promise<string>,
  ) => void,
): void {
  describe(name, () => {
    let host: RootlessHost;
    let client: Container;
    beforeAll(async () => {
      host = await RootlessHost.start({ settings, ...options });
      client = await startOutsideClient(host);
    });
    afterAll(async () => {
      await client.stop();
      await host.stop();
    });
    /** The address that a server sees of a client from outside. */
    const ask = async (port: number, protocol?: 'udp'): Promise<string> => {
      if (protocol === undefined) {
        return client.tcpOpen({ id: `client ${(lastClient += 1)}`, address: hostAddress, port });
      }
      const socket = await client.udp({ address: clientAddress });
      await socket.send('whoami', { address: hostAddress, port });
      const [reply] = await socket.seenCount(1);
      await socket.close();
      const candidates = [clientAddress, '172.17.0.1', '172.17.0.2'];
      return candidates.find((each) => digestOf(each) === reply?.sha256) ?? 'another';
    };
    define(() => host, ask);
  });
}

const nets =
  debianRoot === undefined ? (['slirp4netns'] as const) : (['slirp4netns', 'pasta'] as const);
for (const net of nets) {
  describeHost(`on ${net}`, { net }, (host, ask) => {
    test('a server sees the client over TCP and UDP, and the ports are free after rm', async () => {
      const port = await host().sockets.freePorts(2);
      const id = await host().run([`${port}:8080`, `${port}:5353/udp`], 'whoami:8080', 'udp:5353');
      const isSeen = async (protocol?: 'udp') => (await ask(port, protocol)) === clientAddress;
      await until(() => isSeen(), 'a TCP client is seen', 15_000);
      await until(() => isSeen('udp'), 'a UDP client is seen', 15_000);
      // Docker removes ports by what it was told when it added them.
      expect(await host().api('GET', '/v1/ports')).toContainEqual({
        id: expect.any(Number) as number,
        spec: expect.objectContaining({ parentPort: port, childPort: port }) as object,
      });
      // A client on the host's loopback goes straight into the container as well, and into its own.
      await host().run([`${port + 1}:8080`], 'whoami:8080');
      const own = await host().docker('inspect', '-f', address, id);
      expect(await host().seen({ port })).toBe(own);
      const isOther = async () => {
        const seen = await host().seen({ port: port + 1 });
        return seen !== own && seen !== '172.17.0.1';
      };
      await until(isOther, 'the other container sees its own address');
      expect(await host().seen({ address: '::1', port })).toMatch(/^172\.17\./);
      await host().docker('rm', '-f', id);
      expect(await host().sockets.isFree(port)).toBe(true);
      expect(await host().sockets.isFree(port, 'udp')).toBe(true);
    });
  });
}

describeHost('without docker-proxy', { dockerdFlags: ['--userland-proxy=false'] }, (host, ask) => {
  test('a port works for clients from outside, although its server does not see them', async () => {
    const port = await host().sockets.freePorts();
    await host().run([`${port}:8080`, `${port}:5353/udp`], 'whoami:8080', 'udp:5353');
    // As Docker 28 does; an older one opens no ports then.
    const spec = { parentIP: '0.0.0.0', parentPort: port, childIP: '127.0.0.1', childPort: port };
    if ((await host().forwards()).length === 0) {
      await host().api('POST', '/v1/ports', { proto: 'tcp4', ...spec });
      await host().api('POST', '/v1/ports', { proto: 'udp4', ...spec });
    }
    expect(await ask(port)).toMatch(/^172\.17\./);
    expect(await ask(port, 'udp')).toMatch(/^172\.17\./);
  });
});
