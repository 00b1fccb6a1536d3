// Which shims share a resident, who may start one, and how long it stays.

import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive } from '../helpers/process-facts.js';
import { staysTrueFor, until } from '../helpers/wait.js';
import { freePort, podmanMapping, shimExecutable, type Run } from './helpers/run.js';
import { ShimRuns } from './helpers/shim-runs.js';

let runs: ShimRuns;
beforeEach(() => {
  runs = new ShimRuns('/proc/self/ns/net');
});
afterEach(() => runs[Symbol.asyncDispose]());

async function start(id: string, before: readonly string[] = []): Promise<Run> {
  const mapping = podmanMapping({ host_port: await freePort() });
  return runs.start([mapping], { ContainerID: id }, [...before, shimExecutable]);
}

const isShimItself = ({ pid }: Run) => readlinkSync(`/proc/${pid}/exe`) === shimExecutable;

test('a resident that is to stay always does so after its last container', async () => {
  runs.settings({ residentLingerSeconds: 0 });
  await using passing = await start('passing');
  runs.settings({ residentLingerSeconds: 'always' });
  await using run = await start('always');
  const pid = await runs.resident();
  await passing.letGo();
  await run.letGo();
  await staysTrueFor(2_500, () => isAlive(pid), 'the resident is there');
});

test.each([
  ['a ban on new privileges', ['setpriv', '--no-new-privs']],
  ['a low priority', ['nice', '-n', '1']],
  ['a limit on processor time', ['prlimit', '--cpu=1000']],
])('a shim with %s joins a resident that runs', async (_, before) => {
  await using free = await start('free');
  const pid = await runs.resident();
  await using confined = await start('confined', before);
  expect(isShimItself(confined)).toBe(true);
  expect(await (await runs.control(confined)).forwards()).toHaveLength(1);
  expect(await runs.resident()).toBe(pid);
  await free.letGo();
});

test('each user namespace has a resident of its own', async () => {
  await using outside = await start('outside');
  await using inside = await start('inside', ['unshare', '--user', '--map-root-user', '--net']);
  const residents = await until(() => {
    const pids = runs.residents();
    return pids.length === 2 && pids;
  }, 'two residents');
  const namespaceOf = (pid: number) => readlinkSync(`/proc/${pid}/ns/user`);
  expect(new Set(residents.map(namespaceOf)).size).toBe(2);
  const files = readdirSync(join(runs.folder, 'spliceport-resident'));
  expect(files.filter((name) => name.endsWith('-v1'))).toHaveLength(2);
  for (const run of [outside, inside]) {
    expect(isShimItself(run)).toBe(true);
    expect(await (await runs.control(run)).forwards()).toHaveLength(1);
  }
});
