// What sessions and flows cost while nothing happens on them.

import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binding } from '../../src/engine/binding.js';
import { Container } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { openFds, privateMemoryKiB } from '../helpers/process-facts.js';
import { Program } from '../helpers/program.js';
import { connectTcp } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';

const source = new URL('../helpers/forwarder-program.ts', import.meta.url);

const MAX_OPEN_FILES = 20_000;
const SESSIONS = 9_000;
const MAX_BYTES_PER_SESSION = 1_000;
const FLOWS = 9_000;
const MAX_BYTES_PER_FLOW = 1_024;
const AT_ONCE = 50;
// Each worker keeps a few pipes for the next bulk transfer.
const MAX_POOLED_FDS = 64;

let container: Container;

beforeAll(async () => {
  binding.raiseFileLimit();
  container = await Container.start();
});
afterAll(() => container.stop());

function start(): Program {
  return new Program(source, { maxOpenFiles: MAX_OPEN_FILES });
}

/** Read from outside, since reading costs memory. */
function factsOf({ pid }: Program): { fds: number; privateKiB: number } {
  return { fds: openFds(pid), privateKiB: privateMemoryKiB(pid) };
}

async function manyTimes<T>(count: number, task: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const runners = Array.from({ length: AT_ONCE }, async () => {
    while (next < count) results.push(await task(next++));
  });
  await Promise.all(runners);
  return results;
}

describe('the cost of', () => {
  test('9,000 idle sessions is two descriptors and at most 1,000 bytes each, which are freed', async () => {
    const service = await container.tcp({ kind: 'echo' });
    await using program = start();
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: service.port },
    });
    const before = factsOf(program);
    const clients = await manyTimes<Socket>(SESSIONS, () => connectTcp(host));
    await until(async () => (await api.stats()).sessionsOpen === SESSIONS, 'all are open', 20_000);
    const during = factsOf(program);
    expect(during.fds - before.fds - 2 * SESSIONS).toBeLessThanOrEqual(MAX_POOLED_FDS);
    const grownBytes = (during.privateKiB - before.privateKiB) * 1024;
    expect(grownBytes / SESSIONS).toBeLessThanOrEqual(MAX_BYTES_PER_SESSION);
    for (const client of clients) client.destroy();
    await until(async () => (await api.stats()).sessionsOpen === 0, 'all have ended', 20_000);
    const after = factsOf(program);
    expect(after.fds - before.fds).toBeLessThanOrEqual(MAX_POOLED_FDS);
    // What stays are the tables that grew with the sessions, and JavaScript's own memory for all
    // the questions here.
    await until(
      () => factsOf(program).privateKiB - before.privateKiB < (0.7 * grownBytes) / 1024,
      'the memory returns',
    );
    await service.close();
  }, 60_000);

  test('9,000 flows is at most 1 KiB each besides their sockets', async () => {
    const service = await container.udp();
    await using program = start();
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add({
      protocol: 'udp',
      host: { address: '127.0.0.1', port: 0 },
      container: { port: service.port },
    });
    using first = await UdpSocket.bind();
    await first.send('first', host.port);
    await service.seenCount(1);
    const before = factsOf(program);
    await manyTimes(FLOWS, async (index) => {
      using client = await UdpSocket.bind({
        address: `127.${1 + Math.floor(index / 250)}.${index % 250}.1`,
      });
      await client.send('flow', host.port);
    });
    await until(
      async () => (await api.stats()).sessionsOpen === FLOWS + 1,
      'all are there',
      20_000,
    );
    const during = factsOf(program);
    expect(((during.privateKiB - before.privateKiB) * 1024) / FLOWS).toBeLessThanOrEqual(
      MAX_BYTES_PER_FLOW,
    );
    await service.close();
  }, 60_000);
});
