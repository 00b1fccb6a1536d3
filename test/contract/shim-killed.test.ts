// What a shim leaves behind that is killed, and that the next one finds.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { isRefused } from '../helpers/tcp-client.js';
import { requestReload } from './helpers/reload-client.js';
import { freePort, podmanMapping } from './helpers/run.js';
import { ShimRuns } from './helpers/shim-runs.js';

let runs: ShimRuns;
beforeEach(() => {
  runs = new ShimRuns('/proc/self/ns/net');
});
afterEach(() => runs[Symbol.asyncDispose]());

test('a shim that is killed frees its port at once, and the next one takes the place of its sockets', async () => {
  const port = await freePort();
  const mappings = [podmanMapping({ host_ip: '127.0.0.1', host_port: port })];
  const run = await runs.start(mappings);
  expect(await (await runs.control(run)).forwards()).toHaveLength(1);
  await run.kill('SIGKILL');
  expect(await isRefused({ port })).toBe(true);
  await using next = await runs.start(mappings);
  expect(await requestReload('seqpacket', runs.reloadPath(), '"127.0.0.9"\n')).toBe('OK');
  const [forward] = await (await runs.control(next)).forwards();
  expect(forward?.container.address).toBe('127.0.0.9');
});
