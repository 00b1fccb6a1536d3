// Two of the helper's containers in one process, on one engine.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeConfig, type Config } from '../../src/engines/podman/config.js';
import { Container as Published } from '../../src/engines/podman/container.js';
import type { HelperSettings } from '../../src/engines/podman/helper-settings.js';
import { thisProcess } from '../../src/engines/podman/surroundings.js';
import { Engine } from '../../src/index.js';
import { requestReload } from '../contract/helpers/reload-client.js';
import { freePort } from '../contract/helpers/run.js';
import { Container } from '../helpers/container.js';
import { openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';

const settings: HelperSettings = {
  options: { workers: 1 },
  controlSocket: true,
  reloadSocket: undefined,
  log: undefined,
  notices: [],
  specsFor: undefined,
  gatesFor: undefined,
  tell: (problem) => {
    throw new Error(problem);
  },
};

let container: Container;
let port: number;
let folder: string;

beforeAll(async () => {
  container = await Container.start();
  ({ port } = await container.tcp({ kind: 'whoami' }, { address: '0.0.0.0' }));
  folder = mkdtempSync(join(tmpdir(), 'spliceport-containers-'));
  process.env['SPLICEPORT_CONTROL_DIR'] = join(folder, 'control');
});
afterAll(async () => {
  delete process.env['SPLICEPORT_CONTROL_DIR'];
  rmSync(folder, { recursive: true });
  await container.stop();
});

function configOf(
  id: string,
  hostPort: number,
  netnsPath = `/proc/${container.pid}/ns/net`,
): Config {
  const mapping = {
    host_ip: '',
    container_port: port,
    host_port: hostPort,
    range: 1,
    protocol: 'tcp',
  };
  const config = {
    Mappings: [mapping],
    NetNSPath: netnsPath,
    ExitFD: 3,
    ReadyFD: 4,
    TmpDir: folder,
    ChildIP: '127.0.0.1',
    ContainerID: id,
    RootlessCNI: true,
  };
  return decodeConfig(Buffer.from(JSON.stringify(config)));
}

const listeners = () =>
  process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
const resources = () => process.getActiveResourcesInfo().sort();
const socketFiles = () =>
  ['rp', 'control'].flatMap((name) =>
    existsSync(join(folder, name)) ? readdirSync(join(folder, name)) : [],
  );

/** What a server at an address of its own sees. */
async function whoAnswers(hostPort: number): Promise<string | undefined> {
  return (await askTcp({ port: hostPort }, '')).split(' ')[0];
}

test('two containers on one engine: what is done to one leaves the other alone, and both leave nothing', async () => {
  // The first one loads what the next have already.
  const first = await Published.start(configOf('first', await freePort()), { settings });
  await first.show();
  void first.close();
  const before = { fds: openFds(), listeners: listeners(), resources: resources() };

  await using engine = new Engine({ workers: 2 });
  const [onePort, otherPort] = [await freePort(), await freePort()];
  const one = await Published.start(configOf('one', onePort), {
    settings,
    surroundings: thisProcess(engine),
  });
  const other = await Published.start(configOf('other', otherPort), {
    settings,
    surroundings: thisProcess(engine),
  });
  await Promise.all([one.show(), other.show()]);
  expect(socketFiles()).toHaveLength(4);
  const live = await connectTcp({ port: otherPort });
  await nextText(live);

  const replies = [
    await one.reload('127.0.0.2'),
    await requestReload('seqpacket', join(folder, 'rp', 'one'), '"127.0.0.3"\n'),
    await one.reload('nonsense'),
  ];
  expect(replies.map((reply) => reply === 'OK')).toEqual([true, true, false]);
  const targets = [one, other].map(({ forwarder }) => forwarder.list()[0]?.container.address);
  expect(targets).toEqual(['127.0.0.3', '127.0.0.1']);
  expect([await whoAnswers(onePort), await whoAnswers(otherPort)].every(Boolean)).toBe(true);

  void one.close();
  void one.close();
  expect(await isRefused({ address: '127.0.0.1', port: onePort })).toBe(true);
  expect(socketFiles()).toHaveLength(2);
  expect(other.forwarder.sessions()).toHaveLength(1);
  expect(await whoAnswers(otherPort)).toBeTruthy();
  expect(await other.reload('127.0.0.4')).toBe('OK');

  live.destroy();
  void other.close();
  await engine.close();
  expect(socketFiles()).toEqual([]);
  await until(() => openFds() <= before.fds, 'every descriptor is closed');
  expect(listeners()).toBe(before.listeners);
  await until(() => resources().length <= before.resources.length, 'no timer and no watch is left');
});

test('a container that cannot start leaves nothing, and the others of its engine alone', async () => {
  await using engine = new Engine();
  const [onePort, otherPort] = [await freePort(), await freePort()];
  const one = await Published.start(configOf('one', onePort), {
    settings,
    surroundings: thisProcess(engine),
  });
  // A worker holds the namespace that it has been in.
  await whoAnswers(onePort);
  const fds = openFds();
  const taken = Published.start(configOf('other', onePort), {
    settings,
    surroundings: thisProcess(engine),
  });
  await expect(taken).rejects.toThrow('bind: address already in use');
  const badName = Published.start(configOf('a/b', otherPort), {
    settings,
    surroundings: thisProcess(engine),
  });
  await expect(badName).rejects.toThrow('invalid ContainerID');
  expect(await isRefused({ address: '127.0.0.1', port: otherPort })).toBe(true);
  expect(await whoAnswers(onePort)).toBeTruthy();
  await until(() => openFds() <= fds, 'every descriptor is closed');
  void one.close();
});
