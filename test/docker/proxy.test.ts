// A real dockerd with spliceport's docker-proxy: what `docker run -p` promises, and what
// docker-proxy does not.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { privateMemoryKiB } from '../helpers/process-facts.js';
import { isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { DockerHost, type Peer } from './harness/docker-host.js';

const docker = { command: 'dockerd', package: 'docker.io' };
const wants = process.env['SPLICEPORT_DEBIAN_ROOT'] === undefined;
const megabytes = 10_000_000;

describe.skipIf(wants && isMissing(docker, 'dockerd'))('under dockerd', () => {
  let host: DockerHost;
  let client: Peer;

  beforeAll(async () => {
    host = await DockerHost.start();
    client = host.outside();
  });
  afterAll(() => host.stop());
  beforeEach(() => host.removeContainers());

  /** A container with a server of both protocols and families. */
  async function serving(options: readonly string[]): Promise<{ name: string; server: Peer }> {
    const name = await host.run(options);
    const server = await host.inside(name);
    await server.ask.serveTcp({ host: '::', port: 7 });
    await server.ask.serveUdp({ host: '::', port: 53 });
    return { name, server };
  }

  test('TCP arrives whole by every address of the host that is published', async () => {
    await serving(['-p', '7000:7', '-p', '127.0.0.1:7001:7', '-p', '[::1]:7002:7']);
    for (const [address, port] of [
      ['127.0.0.1', 7000],
      ['::1', 7000],
      ['127.0.0.1', 7001],
      ['::1', 7002],
    ] as const) {
      expect(await client.ask.echoTcp({ host: address, port, bytes: megabytes })).toBe(true);
    }
    expect(await client.ask.tryTcp({ host: '::1', port: 7001 })).toBe('ECONNREFUSED');
    expect(host.proxies().every(({ commandLine }) => commandLine.startsWith('/run/test/'))).toBe(
      true,
    );
  });

  test('datagrams are answered by every address of the host that is published', async () => {
    await serving(['-p', '5300:53/udp', '-p', '127.0.0.1:5301:53/udp', '-p', '[::1]:5302:53/udp']);
    for (const [address, port] of [
      ['127.0.0.1', 5300],
      ['127.0.0.1', 5301],
      ['::1', 5302],
    ] as const) {
      // An older dockerd names the namespace meanwhile: an answer may be under way over the bridge.
      const answers = await client.ask.echoUdp({ host: address, port, count: 50 });
      expect(answers).toBeGreaterThanOrEqual(49);
    }
  });

  test('the container is entered, so its server sees its own address', async () => {
    const { name, server } = await serving(['-p', '127.0.0.1:7010:7']);
    const own = await host.docker(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', name]);
    // An older dockerd makes the namespace when the proxy is there already.
    const sees = async () => {
      await client.ask.echoTcp({ host: '127.0.0.1', port: 7010, bytes: 1 });
      return (await server.ask.seen()).includes(`::ffff:${own}`);
    };
    await until(sees, "the container's own address", 10_000);
  });

  test('of containers on several networks, each is the right one', async () => {
    await host.docker(['network', 'create', 'second']);
    try {
      const ports = [7020, 7021, 7022];
      const names = await Promise.all(
        ports.map((port) =>
          host.run(['-p', `${port}:7`, ...(port === 7021 ? ['--network', 'second'] : [])]),
        ),
      );
      const servers = await Promise.all(names.map((name) => host.inside(name)));
      // A server in one container alone: the others refuse.
      await servers[1]?.ask.serveTcp({ host: '0.0.0.0', port: 7 });
      expect(await client.ask.echoTcp({ host: '127.0.0.1', port: 7021, bytes: 1_000 })).toBe(true);
      expect(await servers[1]?.ask.seen()).toHaveLength(1);
    } finally {
      await host.removeContainers();
      await host.docker(['network', 'rm', 'second']);
    }
  });

  test('a range has a small process for each port and family, and they go with it', async () => {
    const name = await host.run(['-p', '9000-9019:9000-9019']);
    expect(host.proxies()).toHaveLength(40);
    const memory = host.proxies().map(({ pid }) => privateMemoryKiB(pid));
    expect(Math.max(...memory)).toBeLessThan(200);
    await host.docker(['rm', '-f', name]);
    expect(host.proxies()).toEqual([]);
    expect(await host.bound(9000)).toBe('');
  });

  test('a port that another program has is refused at once, with a text', async () => {
    await client.ask.serveTcp({ host: '127.0.0.1', port: 7100 });
    const image = ['test:1', '/bin/busybox', 'sleep', '600'];
    const begin = performance.now();
    const refused = await host.tryDocker(['run', '-d', '-p', '127.0.0.1:7100:7', ...image]);
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain('address already in use');
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  test('a container goes at once while its port is in use', async () => {
    const { name } = await serving(['-p', '7200:7']);
    await client.ask.open({ id: 1, host: '127.0.0.1', port: 7200 });
    await client.ask.hammer({ host: '127.0.0.1', port: 7200 });
    expect(await client.ask.exchange({ id: 1, text: 'before' })).toBe('before');
    const begin = performance.now();
    await host.docker(['rm', '-f', name]);
    expect(performance.now() - begin).toBeLessThan(8_000);
    await client.ask.rest();
    expect(host.proxies()).toEqual([]);
    expect(await client.ask.exchange({ id: 1, text: 'after' })).toBe('closed');
    expect(await client.ask.tryTcp({ host: '127.0.0.1', port: 7200 })).toBe('ECONNREFUSED');
  });

  test.each(['TERM', 'KILL'] as const)(
    'an open session survives a restart of dockerd, ended by SIG%s, and new ones come again',
    async (signal) => {
      await serving(['-p', '7300:7']);
      await client.ask.open({ id: 2, host: '127.0.0.1', port: 7300 });
      expect(await client.ask.exchange({ id: 2, text: 'before' })).toBe('before');
      await client.ask.hammer({ host: '127.0.0.1', port: 7300 });
      const before = host.proxies().map(({ pid }) => pid);
      await host.endDaemon(signal);
      expect(await client.ask.exchange({ id: 2, text: 'between' })).toBe('between');
      await host.startDaemon();
      await client.ask.rest();
      const connects = async () =>
        (await client.ask.tryTcp({ host: '127.0.0.1', port: 7300 })) === 'connected';
      await until(connects, 'the port', 20_000);
      expect(await client.ask.exchange({ id: 2, text: 'after' })).toBe('after');
      await client.ask.close({ id: 2 });
      const old = () => host.proxies().filter(({ pid }) => before.includes(pid)).length === 0;
      await until(old, 'the end of the old proxies', 10_000);
    },
  );
});
