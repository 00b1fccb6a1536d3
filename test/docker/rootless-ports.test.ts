// The ports of rootless Docker, with spliceport as the port driver of its RootlessKit.

import { once } from 'node:events';
import { existsSync, lstatSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import { debianRoot } from '../podman/harness/machine.js';
import { askUdp, transferTcp } from '../podman/harness/transfers.js';
import { RootlessHost } from './rootless-host.js';

const MIB = 1_048_576;

let host: RootlessHost;
beforeAll(async () => (host = await RootlessHost.start()));
afterEach(() => host.clear());
afterAll(() => host.stop());

test('docker version is answered, with the drivers of RootlessKit where it shows them', async () => {
  const version = await host.docker('version');
  // Docker 20.10 does not show them.
  if (debianRoot === undefined) return;
  expect(version).toMatch(/PortDriver:\s+spliceport/);
  expect(version).toMatch(/NetworkDriver:\s+slirp4netns/);
});

test('TCP and UDP ports of every address carry bytes over both families, and are free after rm', async () => {
  const port = await host.sockets.freePorts();
  const publish = [`${port}:8080`, `${port}:5353/udp`];
  const id = await host.run(publish, 'digest:8080', 'udp:5353');
  for (const address of ['127.0.0.1', '::1']) {
    const digests = await transferTcp(await host.sockets.connect({ address, port }), 2 * MIB);
    expect([digests.inContainer, digests.back]).toEqual([digests.sent, digests.sent]);
    const socket = await host.sockets.udp(address);
    const { text } = await askUdp(socket, 'whoami', { address, port });
    expect(text).toMatch(/^172\.17\./);
    socket.close();
  }
  expect(await host.forwards()).toHaveLength(4);
  await host.docker('rm', '-f', id);
  expect(await host.sockets.isFree(port)).toBe(true);
  expect(await host.sockets.isFree(port, 'udp')).toBe(true);
  expect(await host.forwards()).toEqual([]);
});

test('ports of one loopback address, and a range, are served there', async () => {
  const port = await host.sockets.freePorts(6);
  const publish = [
    `127.0.0.1:${port}:8080`,
    `[::1]:${port + 1}:8080`,
    `${port + 2}-${port + 5}:9000-9003`,
  ];
  await host.run(publish, 'whoami:8080', 'whoami:9000-9003');
  expect(await host.seen({ address: '127.0.0.1', port })).toMatch(/^172\.17\./);
  expect(await host.seen({ address: '::1', port: port + 1 })).toMatch(/^172\.17\./);
  for (let each = port + 2; each <= port + 5; each++) {
    expect(await host.seen({ address: '127.0.0.1', port: each })).toMatch(/^172\.17\./);
  }
  const other = host.sockets.connect({ address: '::1', port });
  await expect(other).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a port that another program has, and a privileged one, fail with the texts of RootlessKit', async () => {
  const port = await host.sockets.freePorts();
  const taken = await host.sockets.listen('0.0.0.0', port);
  const { code, stderr } = await host.tryDocker(
    'run',
    '--rm',
    '-p',
    `${port}:80`,
    'busy:1',
    'true',
  );
  expect(code).toBe(125);
  expect(stderr).toContain(`listen tcp4 0.0.0.0:${port}: bind: address already in use`);
  taken.close();
  await once(taken, 'close');
  const low = await host.tryDocker('run', '--rm', '-p', '81:80', 'busy:1', 'true');
  expect(low.code).not.toBe(0);
  expect(low.stderr).toContain("cannot expose privileged port 81, you can add 'net.ipv4.ip_unpriv");
});

test('the calls of nerdctl, without a childIP and with removal by what is listed, are answered', async () => {
  const port = await host.sockets.freePorts();
  const spec = { proto: 'tcp', parentIP: '0.0.0.0', parentPort: port, childPort: 8080 };
  const added = await host.api('POST', '/v1/ports', spec);
  expect(added).toMatchObject({ spec });
  expect(await host.api('GET', '/v1/ports')).toEqual([added]);
  await host.api('DELETE', `/v1/ports/${(added as { readonly id: number }).id}`);
  expect(await host.api('GET', '/v1/ports')).toBeNull();
});

test('the driver says that it is used, and a second one says that the first is there', async () => {
  const status = await host.spliceport('status', '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({
    rootlessDocker: { enabled: true, pid: expect.any(Number) as number },
  });
  const second = await host.spliceport('rootlesskit');
  expect(second.code).toBe(1);
  expect(second.stderr).toContain('already');
});

test('RootlessKit has its own socket again once the driver has stopped', async () => {
  const socket = host.machine.outside(`${host.stateFolder}/api.sock`);
  expect(lstatSync(socket).isSymbolicLink()).toBe(true);
  await host.stopDriver();
  await until(
    () => lstatSync(socket, { throwIfNoEntry: false })?.isSocket() === true,
    'its own socket',
  );
  expect(existsSync(`${host.stateFolder}/api-rootlesskit.sock`)).toBe(false);
  expect(await host.api('GET', '/v1/info')).not.toHaveProperty('portDriver');
});
