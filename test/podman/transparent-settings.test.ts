// One line of settings, and containers of an unmodified podman log who their clients are.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Container } from '../helpers/container.js';
import { until } from '../helpers/wait.js';
import { clientAddress, hostAddress, startOutsideClient } from './harness/outside-client.js';
import { hello, image, server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const settingsFile = '/home/spliceport-test/.config/spliceport/config.json';
const settings = '{ "defaults": { "sourceAddress": "transparent" } }';
const loggingHttpd = [image, 'httpd', '-f', '-v', '-p', '80', '-h', '/www'];

describePodman('the setting for transparent forwards with an unmodified podman', (host) => {
  let client: Container;

  beforeAll(async () => {
    const file = host().machine.outside(settingsFile);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, settings);
    client = await startOutsideClient(host());
  });
  afterAll(() => client.stop());

  /** Whom a container has logged, oldest first, once there are `count`. */
  const logged = (container: string, pattern: RegExp, count: number): Promise<string[]> =>
    until(async () => {
      const { stdout, stderr } = await host().tryPodman(['logs', container]);
      const found = Array.from(`${stdout}${stderr}`.matchAll(pattern), ([, who = '']) => who);
      return found.length >= count ? found : undefined;
    }, `${count} lines in the log of ${container}`);

  const pages = (count: number) =>
    logged('web', /^\[(?:::ffff:)?([^\]]*)\]:\d+: response:200$/gm, count);

  /** One more client of each container, and whom they have logged so far. */
  async function visit(tcp: number, udp: number, count: number): Promise<string[][]> {
    const page = await client.run(
      'busybox',
      'wget',
      '-qO-',
      `http://${hostAddress}:${tcp}/hello.txt`,
    );
    expect(page.trim()).toBe(hello.trim());
    const socket = await client.udp({ address: clientAddress });
    await socket.send('whoami', { address: hostAddress, port: udp });
    const [reply] = await socket.seenCount(1);
    expect(reply?.from).toBe(`${hostAddress} ${udp}`);
    const { port } = socket;
    await socket.close();
    const visitors = await logged('echo', /^asked by (.*)$/gm, count);
    expect(visitors.at(-1)).toBe(`${clientAddress} ${port}`);
    return [
      // The first is from the loopback.
      (await pages(count + 1)).slice(1),
      visitors.map((visitor) => visitor.split(' ')[0] ?? ''),
    ];
  }

  test('makes httpd and a UDP server log the client’s address, also after reloads', async () => {
    for (const n of ['1', '2']) {
      await host().podman('network', 'create', '--subnet', `172.30.${n}.0/24`, `n${n}`);
    }
    const tcp = await host().sockets.freePorts();
    const udp = await host().sockets.freePorts();
    const network = ['--network', 'n1'];
    await host().run('--name', 'web', ...network, '-p', `${tcp}:80`, ...loggingHttpd);
    await host().run('--name', 'echo', ...network, '-p', `${udp}:5353/udp`, ...server('udp:5353'));
    expect(host().isForwarded(tcp)).toBe(true);
    expect(host().isForwarded(udp, 'udp')).toBe(true);
    await host().fetchSoon({ port: tcp });
    // A client on the loopback is none that a container could answer.
    const [first = ''] = await pages(1);
    expect(first).toMatch(/^172\.30\.1\.\d+$/);

    let visits = 0;
    const expectClient = async (): Promise<void> => {
      visits += 1;
      const seen = Array<string>(visits).fill(clientAddress);
      const [web, echo] = await visit(tcp, udp, visits);
      expect(web).toEqual(seen);
      expect(echo).toEqual(seen);
    };
    await expectClient();

    await host().podman('network', 'reload', '--all');
    await expectClient();

    for (const container of ['web', 'echo']) {
      await host().podman('network', 'connect', 'n2', container);
      await host().podman('network', 'disconnect', 'n1', container);
    }
    await expectClient();
  });
});
