// A shim that has no descriptor left: clients wait, nothing is lost, and what fails is told with
// the shim's own limit.

import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RemoteForwarder } from '../../src/remote/remote-forwarder.js';
import { Container, type TcpService } from '../helpers/container.js';
import { cpuMs } from '../helpers/process-facts.js';
import { RealShim } from '../helpers/real-shim.js';
import { askTcp, connectTcp, endingOf, nextText } from '../helpers/tcp-client.js';
import { staysTrueFor, until } from '../helpers/wait.js';
import { requestReload } from './helpers/reload-client.js';
import { ShimRuns } from './helpers/shim-runs.js';

/** Below every descriptor that a shim may open. */
const NONE_LEFT = 3;
const BUSY_MS = 1_000;
/** Of ten pauses a second; a busy loop uses all of it. */
const MOST_CPU_MS = 200;

let container: Container;
let echo: TcpService;
beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' }, { address: '0.0.0.0' });
});
afterAll(() => container.stop());

const toEcho = () => ({ host: { address: '127.0.0.1', port: 0 }, container: { port: echo.port } });

/** The soft limit alone: root may raise it again, and so may others. */
function limitTo(pid: number, files: number): void {
  execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${files}:`]);
}

async function expectRest(pid: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const before = cpuMs(pid);
  await staysTrueFor(BUSY_MS, holds, 'clients wait');
  expect(cpuMs(pid) - before).toBeLessThan(MOST_CPU_MS);
}

test('clients of a port wait, the pauses are counted, and each is served', async () => {
  await using real = await RealShim.start();
  const forwarder = new RemoteForwarder(real.shim, { netns: container.netns });
  const { host } = await forwarder.add(toEcho());
  expect(await askTcp(host, 'before')).toBe('before');
  limitTo(real.pid, NONE_LEFT);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectTcp(host)));
  await until(async () => (await forwarder.stats()).acceptPauses > 0, 'a pause');
  await expectRest(real.pid, () => clients.every((client) => !client.destroyed));
  expect((await forwarder.stats()).sessionsOpen).toBe(0);
  limitTo(real.pid, 1_024);
  const answers = clients.map(async (client, index) => {
    client.end(`client ${index}`);
    const answer = await nextText(client);
    await endingOf(client);
    return answer;
  });
  expect(await Promise.all(answers)).toEqual(clients.map((_, index) => `client ${index}`));
});

test('a port that cannot be opened is told with the limit of the shim', async () => {
  await using real = await RealShim.start();
  const forwarder = new RemoteForwarder(real.shim, { netns: container.netns });
  await forwarder.add(toEcho());
  limitTo(real.pid, NONE_LEFT);
  await expect(forwarder.add(toEcho())).rejects.toMatchObject({
    code: 'EMFILE',
    side: 'host',
    hint: expect.stringContaining(`(ulimit -n): ${NONE_LEFT} now, hard limit`) as string,
  });
  const { id } = forwarder.list()[0] ?? { id: 0 };
  await expect(
    forwarder.retarget(id, { netns: { path: '/proc/self/ns/net' } }),
  ).rejects.toMatchObject({
    code: 'EMFILE',
    hint: expect.stringContaining(`(ulimit -n): ${NONE_LEFT} now, hard limit`) as string,
  });
  limitTo(real.pid, 1_024);
  expect(await askTcp((await forwarder.add(toEcho())).host, 'again')).toBe('again');
});

test('reloads and calls of the control API wait, and cost nothing meanwhile', async () => {
  await using runs = new ShimRuns(`/proc/${container.pid}/ns/net`);
  await using run = await runs.start([]);
  const control = await runs.control(run);
  expect(await control.forwards()).toEqual([]);
  limitTo(run.pid, NONE_LEFT);
  let answered = 0;
  const answers = [requestReload('seqpacket', runs.reloadPath(), '"127.0.0.1"'), control.info()];
  for (const answer of answers) void Promise.resolve(answer).then(() => (answered += 1));
  await expectRest(run.pid, () => answered === 0);
  limitTo(run.pid, 1_024);
  expect(await answers[0]).toBe('OK');
  expect(await answers[1]).toMatchObject({ pid: run.pid });
});
