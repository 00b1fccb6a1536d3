import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Stats } from '../../src/index.js';
import { Container, type TcpService } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { digestOf, sendPayload } from '../helpers/payload.js';
import { Program } from '../helpers/program.js';
import { askTcp, connectTcp, endingOf, type Where } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';

const source = new URL('../helpers/forwarder-program.ts', import.meta.url);

const CONNECTIONS = 1_000;
const AT_ONCE = 50;
const ROUNDS = 5;
// A page here and there; a leak of 200 bytes for each connection of the rounds would be three times as much.
const MOST_GROWTH_KIB = 256;
// Each worker keeps a few pipes for the next bulk transfer.
const MOST_POOLED_FDS = 64;

let container: Container;
let echo: TcpService;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
});
afterAll(() => container.stop());

function toContainer(port: number) {
  return { host: { address: '127.0.0.1', port: 0 }, container: { port } };
}

/** Runs `count` tasks, a few at a time. */
async function manyTimes(count: number, task: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const runners = Array.from({ length: AT_ONCE }, async () => {
    while (next < count) await task((next += 1));
  });
  await Promise.all(runners);
}

async function idle(api: { readonly stats: () => Promise<Stats> }): Promise<void> {
  await until(async () => (await api.stats()).sessionsOpen === 0, 'every session ends');
}

async function bulk(where: Where): Promise<void> {
  const socket = await connectTcp(where);
  const back = digestOf(socket);
  await sendPayload(socket, 4 << 20);
  socket.end();
  await back;
}

async function rudely(where: Where): Promise<void> {
  const socket = await connectTcp(where);
  socket.write('and gone');
  socket.resetAndDestroy();
}

describe('descriptors', () => {
  it('are as many as before after 1,000 connections, and after close', async () => {
    await using program = new Program(source);
    const api = program.api<ForwarderApi>();
    const { fdNames: atStart } = await api.facts();
    await api.create({ netns: container.netns });
    const { host } = await api.add(toContainer(echo.port));
    const { fds: before } = await api.facts();
    await manyTimes(CONNECTIONS, (index) => askTcp(host, `connection ${index}`));
    await idle(api);
    expect((await api.facts()).fds).toBe(before);
    await api.close({});
    expect((await api.facts()).fdNames).toEqual(atStart);
  });

  it('are as many as before after bulk, resets, refusals and udp, but for a few pipes', async () => {
    await using program = new Program(source);
    const api = program.api<ForwarderApi>();
    const { fdNames: atStart } = await api.facts();
    await api.create({ netns: container.netns });
    const { host } = await api.add(toContainer(echo.port));
    const { host: dead } = await api.add(toContainer(9));
    const udp = await container.udp({ echo: true });
    const flows = await api.add({ ...toContainer(udp.port), protocol: 'udp', udpTimeoutMs: 200 });
    const { fds: before } = await api.facts();
    await manyTimes(100, () => bulk(host));
    await manyTimes(200, () => rudely(host));
    await manyTimes(100, async () => endingOf(await connectTcp(dead)));
    await manyTimes(100, async () => {
      using client = await UdpSocket.bind();
      await client.ask('hello', flows.host.port);
    });
    await idle(api);
    expect((await api.facts()).fds).toBeLessThan(before + MOST_POOLED_FDS);
    await api.close({});
    expect((await api.facts()).fdNames).toEqual(atStart);
  });

  it('are as many as before after 100 forwarders have come and gone', async () => {
    await using program = new Program(source);
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    await api.close({});
    const { fdNames: before } = await api.facts();
    for (let i = 0; i < 100; i += 1) {
      await api.create({ netns: container.netns });
      const { host } = await api.add(toContainer(echo.port));
      if (i % 10 === 0) await askTcp(host, 'hello');
      await api.close({});
    }
    expect((await api.facts()).fdNames).toEqual(before);
  });
});

describe('memory', () => {
  it.each([
    { what: 'connections', task: (where: Where) => askTcp(where, 'hello') },
    { what: 'connections that are reset', task: rudely },
  ])('does not grow with rounds of $what', { timeout: 120_000 }, async ({ task }) => {
    await using program = new Program(source, { nodeArgs: ['--expose-gc'] });
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add(toContainer(echo.port));
    const round = async (): Promise<number> => {
      await manyTimes(CONNECTIONS, () => task(host));
      await idle(api);
      return (await api.facts()).privateKiB;
    };
    // Two rounds until every pool and arena has its size.
    await round();
    const before = await round();
    let after = before;
    for (let i = 0; i < ROUNDS; i += 1) after = await round();
    expect(after - before).toBeLessThan(MOST_GROWTH_KIB);
  });

  it('does not grow with rounds of udp flows', { timeout: 120_000 }, async () => {
    const udp = await container.udp({ echo: true });
    await using program = new Program(source, { nodeArgs: ['--expose-gc'] });
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add({
      ...toContainer(udp.port),
      protocol: 'udp',
      udpTimeoutMs: 100,
    });
    const round = async (): Promise<number> => {
      await manyTimes(CONNECTIONS, async () => {
        using client = await UdpSocket.bind();
        await client.ask('hello', host.port);
      });
      await idle(api);
      return (await api.facts()).privateKiB;
    };
    await round();
    const before = await round();
    let after = before;
    for (let i = 0; i < ROUNDS; i += 1) after = await round();
    expect(after - before).toBeLessThan(MOST_GROWTH_KIB);
  });
});
