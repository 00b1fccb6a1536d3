// The forwards of a port driver of RootlessKit whose containers are never found. test/docker has
// those that are.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DriverForwarder } from '../../src/cli/rootlesskit/driver-forwarder.js';
import type { Forward } from '../../src/index.js';

let unseen: Forward[];
let driver: DriverForwarder;

beforeEach(() => {
  vi.useFakeTimers();
  unseen = [];
  driver = new DriverForwarder({
    child: process.pid,
    settingsFor: (spec) => ({ sourceAddress: 'transparent', ...spec }),
    onUnseen: (forward) => unseen.push(forward),
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

test('nothing is told of a port that has been removed, nor of one that asks for no addresses', async () => {
  const { id } = await driver.add('127.0.0.1:0:80');
  const spec = { host: { address: '127.0.0.1', port: 0 }, container: { port: 80 } };
  await driver.add({ ...spec, sourceAddress: 'container' });
  await driver.remove(id);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(unseen).toEqual([]);
});
