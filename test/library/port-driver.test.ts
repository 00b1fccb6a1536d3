// The forwards of a port driver of RootlessKit whose containers are never found. test/docker has
// those that are.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DriverForwarder } from '../../src/cli/rootlesskit/driver-forwarder.js';
import type { KeptPort } from '../../src/cli/rootlesskit/kept-ports.js';
import type { Forward } from '../../src/index.js';

let unseen: Forward[];
let ports: readonly KeptPort[];
let driver: DriverForwarder;

beforeEach(() => {
  vi.useFakeTimers();
  unseen = [];
  driver = new DriverForwarder({
    child: process.pid,
    settingsFor: (spec) => ({ sourceAddress: 'transparent', ...spec }),
    onUnseen: (forward) => unseen.push(forward),
    onPorts: (all) => (ports = all),
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await driver.close();
});

test('a port whose container is not found is told of after a minute, once, and stays as it is', async () => {
  const forward = await driver.add('127.0.0.1:0:80');
  expect(forward.sourceAddress).toBe('container');
  await vi.advanceTimersByTimeAsync(59_000);
  expect(unseen).toEqual([]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(unseen).toEqual([forward]);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(unseen).toEqual([forward]);
  expect(driver.list()).toEqual([forward]);
});

test('ports are told of to be kept, and are restored by their ids, for the end of the driver too', async () => {
  const first = await driver.add('127.0.0.1:0:80/udp');
  const second = await driver.add('127.0.0.1:0:81');
  await driver.remove(first.id);
  const spec = { protocol: 'tcp', host: second.host, container: { port: 81 } };
  expect(ports).toMatchObject([{ id: 2, spec: { ...spec, host: { port: second.host.port } } }]);
  await driver.close();
  expect(ports).toHaveLength(1);
  await using next = new DriverForwarder({
    child: process.pid,
    settingsFor: (each) => each,
    onUnseen: () => undefined,
    onPorts: () => undefined,
  });
  expect(await next.restore(ports)).toEqual([]);
  const restored = next.get(next.forwardOf(2) ?? 0);
  expect(restored?.host).toEqual(second.host);
  expect(next.portOf(restored?.id ?? 0)).toMatchObject({ id: 2, container: second.container });
  // What an earlier driver was asked for makes way, what this one was asked for does not.
  const again = `127.0.0.1:${second.host.port}:82`;
  const third = await next.add(again);
  expect(next.portOf(third.id)).toMatchObject({ id: 3 });
  expect(next.list()).toEqual([third]);
  await expect(next.add(again)).rejects.toMatchObject({
    code: 'ERR_SPLICEPORT_ALREADY_FORWARDED',
  });
});

test('a port that cannot be restored is told of, and the others are', async () => {
  const { host } = await driver.add('127.0.0.1:0:80');
  const at = (port: number) => ({ host: { address: '127.0.0.1', port }, container: { port: 80 } });
  const failures = await driver.restore([
    { id: 7, spec: at(host.port) },
    { id: 8, spec: at(0) },
  ]);
  expect(failures).toEqual([expect.stringContaining(String(host.port))]);
  expect(driver.forwardOf(7)).toBeUndefined();
  expect(driver.forwardOf(8)).toBeTypeOf('number');
});

test('nothing is told of a port that has been removed, nor of one that asks for no addresses', async () => {
  const { id } = await driver.add('127.0.0.1:0:80');
  const spec = { host: { address: '127.0.0.1', port: 0 }, container: { port: 80 } };
  await driver.add({ ...spec, sourceAddress: 'container' });
  await driver.remove(id);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(unseen).toEqual([]);
});
