// A real dockerd with spliceport's docker-proxy: what spliceport knows of Docker's ports, what its
// settings do to them, and how certain it must be of a container before it is entered.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { DockerHost, type Peer } from './harness/docker-host.js';

const docker = { command: 'dockerd', package: 'docker.io' };
const wants = process.env['SPLICEPORT_DEBIAN_ROOT'] === undefined;

interface Listed {
  readonly container?: { readonly id?: string; readonly name?: string };
  readonly forwards: readonly { readonly netnsPath: string; readonly host: { port: number } }[];
}

describe.skipIf(wants && isMissing(docker, 'dockerd'))('spliceport under dockerd', () => {
  let host: DockerHost;
  let client: Peer;

  beforeAll(async () => {
    host = await DockerHost.start();
    client = host.outside();
  });
  afterAll(() => host.stop());
  beforeEach(async () => {
    host.settings();
    await host.removeContainers();
  });

  async function serving(options: readonly string[]): Promise<string> {
    const name = await host.run(options);
    const server = await host.inside(name);
    await server.ask.serveTcp({ host: '::', port: 7 });
    return name;
  }

  const listed = async () => JSON.parse(await host.spliceport(['ls', '--json'])) as Listed[];

  test('ls, sessions, stats and metrics know each port by the name of its container', async () => {
    const names = [await serving(['-p', '7000:7']), await serving(['-p', '127.0.0.1:7001:7'])];
    await client.ask.open({ id: 1, host: '127.0.0.1', port: 7001 });
    expect(await client.ask.exchange({ id: 1, text: 'hello' })).toBe('hello');
    const table = (await host.spliceport(['ls'])).split('\n');
    expect(table.find((row) => row.includes('0.0.0.0:7000'))).toContain(names[0]);
    expect(table.find((row) => row.includes('[::]:7000'))).toContain(names[0]);
    expect(table.find((row) => row.includes('127.0.0.1:7001'))).toContain(names[1]);
    expect(await host.spliceport(['sessions'])).toMatch(/172\.17\.0\.\d+:7 .* open .* 5 B +5 B/);
    expect(await host.spliceport(['metrics'])).toContain(`container_name="${names[1] ?? ''}"`);
    await host.docker(['rename', names[1] ?? '', 'renamed']);
    await until(async () => (await host.spliceport(['ls'])).includes('renamed'), 'the new name');
    await client.ask.close({ id: 1 });
  });

  test('a rule of the settings limits one container, known by its id', async () => {
    const image = ['test:1', '/bin/busybox', 'sleep', '600'];
    const create = ['create', '--stop-timeout', '0', '-p', '127.0.0.1:7010:7'];
    const id = await host.docker([...create, ...image]);
    const set = { maxSessions: 1 };
    host.settings({ rules: [{ match: { containerId: id.slice(0, 12) }, set }] });
    await host.docker(['start', id]);
    const server = await host.inside(id);
    await server.ask.serveTcp({ host: '::', port: 7 });
    await serving(['-p', '127.0.0.1:7011:7']);
    for (const [session, port] of [
      [2, 7010],
      [3, 7011],
    ] as const) {
      await client.ask.open({ id: session, host: '127.0.0.1', port });
      expect(await client.ask.exchange({ id: session, text: 'first' })).toBe('first');
    }
    expect(await client.ask.tryTcp({ host: '127.0.0.1', port: 7011 })).toBe('connected');
    const echo = { host: '127.0.0.1', bytes: 1_000 };
    expect(await client.ask.echoTcp({ ...echo, port: 7011 })).toBe(true);
    expect(await client.ask.echoTcp({ ...echo, port: 7010 }).catch(() => false)).toBe(false);
    for (const session of [2, 3]) await client.ask.close({ id: session });
  });

  test('a settings file that is wrong is what docker run tells of', async () => {
    host.settings({ defaults: { deny: ['nobody'] } });
    const image = ['test:1', '/bin/busybox', 'sleep', '600'];
    const { code, stderr } = await host.tryDocker(['run', '-d', '-p', '7020:7', ...image]);
    expect(code).toBe(125);
    expect(stderr).toContain('settings file /run/test/settings.json');
  });

  test('a namespace with the same address behind another bridge is not entered', async () => {
    const name = await serving(['-p', '127.0.0.1:7030:7']);
    const format = '{{.NetworkSettings.IPAddress}}';
    const address = await host.docker(['inspect', '-f', format, name]);
    const entered = async (port: number) => {
      const all = await listed();
      const forward = all
        .flatMap(({ forwards }) => forwards)
        .find((each) => each.host.port === port);
      return forward?.netnsPath;
    };
    // Another dockerd's, which has been made after ours.
    const steps = [
      'ip link add other type bridge',
      'ip netns add 0123456789ab',
      'ip link add theirs type veth peer name eth0 netns 0123456789ab',
      'ip link set theirs master other up',
      `ip -n 0123456789ab address add ${address}/16 dev eth0`,
      'ip -n 0123456789ab address add 172.17.77.7/16 dev eth0',
      'ip -n 0123456789ab link set eth0 up',
    ];
    await host.execute(['sh', '-ec', steps.join('\n')]);
    try {
      await until(async () => /\/netns\/[0-9a-f]{12}$/.test((await entered(7030)) ?? ''), 'entry');
      expect(await entered(7030)).not.toContain('0123456789ab');
      const flags = `-proto tcp -host-ip 127.0.0.1 -host-port 7031 -container-port 7 -container-ip`;
      const proxy = '/run/test/package/libexec/docker-proxy';
      const env = 'SPLICEPORT_CONTROL_DIR=/run/test/control XDG_RUNTIME_DIR=/run/test';
      for (const theirs of [address, '172.17.77.7']) {
        const start = `${env} ${proxy} ${flags} ${theirs} 3>/dev/null >/dev/null 2>&1 & echo $!`;
        const { stdout: pid } = await host.execute(['sh', '-c', start]);
        await until(async () => (await entered(7031)) !== undefined, 'the proxy');
        expect(await entered(7031)).not.toContain('0123456789ab');
        if (theirs !== address) expect(await entered(7031)).toBe('/proc/self/ns/net');
        await host.execute(['kill', '-INT', pid.trim()]);
        await until(async () => (await host.bound(7031)) === '', 'its end');
      }
    } finally {
      await host.execute(['sh', '-c', 'ip netns del 0123456789ab; ip link del other']);
    }
  });
});
