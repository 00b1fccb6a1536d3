import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stats } from '../../src/index.js';
import { Container, type TcpService } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { digestOf, digestOfNext, sendPayload } from '../helpers/payload.js';
import { Program } from '../helpers/program.js';
import { askTcp, connectTcp, endingOf, type Where } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';

const source = new URL('../helpers/forwarder-program.ts', import.meta.url);

const WORKERS = 2;
const CONNECTIONS = 1_000;
const AT_ONCE = 50;
const ROUNDS = 8;
const SAMPLE = 3;
// Node's own heap swings by as much; a leak of 100 bytes for each connection of five rounds would
// be more.
const MAX_GROWTH_KIB = 400;
// Each worker keeps a few pipes for the next bulk transfer.
const MAX_POOLED_FDS = 64;

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

/** How many there are of each kind: `socket`, `pipe`, `net` and so on. */
function kindsOf(fdNames: readonly string[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const name of fdNames) {
    const kind = name.replace(/:.*/, '');
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

/**
 * Asks once. On a busy machine a flow may end before its server answers, and the answer is lost
 * then, as UDP's may be.
 */
async function answer(client: UdpSocket, port: number): Promise<unknown> {
  await client.send('hello', port);
  return client.next(500).catch(() => undefined);
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

describe('open descriptors', () => {
  test('are two for an idle session, whatever it relayed before, and one for an idle flow', async () => {
    await using program = new Program(source);
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add(toContainer(echo.port));
    const udp = await container.udp({ echo: true });
    const flows = await api.add({ ...toContainer(udp.port), protocol: 'udp' });
    const open = async (task: () => Promise<unknown>): Promise<number> => {
      const before = kindsOf((await api.facts()).fdNames);
      await manyTimes(CONNECTIONS / 10, task);
      const after = kindsOf((await api.facts()).fdNames);
      return (after['socket'] ?? 0) - (before['socket'] ?? 0);
    };
    const sockets: Socket[] = [];
    const chat = async (): Promise<void> => {
      const socket = await connectTcp(host);
      sockets.push(socket);
      const back = digestOfNext(socket, 1 << 18);
      await sendPayload(socket, 1 << 18);
      await back;
    };
    expect(await open(chat)).toBe((2 * CONNECTIONS) / 10);
    const clients: UdpSocket[] = [];
    const ask = async (): Promise<void> => {
      const client = await UdpSocket.bind();
      clients.push(client);
      await client.ask('hello', flows.host.port);
    };
    expect(await open(ask)).toBe(CONNECTIONS / 10);
    const pipes = kindsOf((await api.facts()).fdNames)['pipe'] ?? 0;
    expect(pipes).toBeLessThan(MAX_POOLED_FDS);
    for (const socket of sockets) socket.destroy();
    for (const client of clients) client.close();
  });

  test('are as many as before after 1,000 connections, and after close', async () => {
    await using program = new Program(source);
    const api = program.api<ForwarderApi>();
    const { fdNames: atStart } = await api.facts();
    await api.create({ netns: container.netns, workers: WORKERS });
    const { host } = await api.add(toContainer(echo.port));
    const before = kindsOf((await api.facts()).fdNames);
    await manyTimes(CONNECTIONS, (index) => askTcp(host, `connection ${index}`));
    await idle(api);
    const { net = 0, ...after } = kindsOf((await api.facts()).fdNames);
    const { net: netBefore = 0, ...rest } = before;
    expect(after).toEqual(rest);
    // A worker that has been in another namespace remembers the one it came from.
    expect(net).toBeLessThanOrEqual(netBefore + WORKERS);
    await api.close({});
    expect((await api.facts()).fdNames).toEqual(atStart);
  });

  test('are as many as before after bulk, resets, refusals and UDP, except for a few pipes', async () => {
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
    expect((await api.facts()).fds).toBeLessThan(before + MAX_POOLED_FDS);
    await api.close({});
    expect((await api.facts()).fdNames).toEqual(atStart);
  });

  test('are as many as before after 100 forwarders were opened and closed', async () => {
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

/** How much more memory the process has after the last rounds than after the first. Unit: KiB. */
async function growth(program: Program, round: () => Promise<void>): Promise<number> {
  const api = program.api<ForwarderApi>();
  const sizes: number[] = [];
  // Two rounds more, until every pool and arena has its size.
  for (let i = -2; i < ROUNDS; i += 1) {
    await round();
    await idle(api);
    if (i >= 0) sizes.push((await api.facts()).privateKiB);
  }
  return Math.min(...sizes.slice(-SAMPLE)) - Math.min(...sizes.slice(0, SAMPLE));
}

describe('the memory of a forwarder', { timeout: 120_000 }, () => {
  test.each([
    { what: 'connections', task: (where: Where) => askTcp(where, 'hello') },
    { what: 'connections that are reset', task: rudely },
  ])('does not grow with rounds of $what', async ({ task }) => {
    await using program = new Program(source, { nodeArgs: ['--expose-gc'] });
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add(toContainer(echo.port));
    const round = () => manyTimes(CONNECTIONS, () => task(host));
    expect(await growth(program, round)).toBeLessThan(MAX_GROWTH_KIB);
  });

  test('does not grow with rounds of UDP flows', async () => {
    const udp = await container.udp({ echo: true });
    await using program = new Program(source, { nodeArgs: ['--expose-gc'] });
    const api = program.api<ForwarderApi>();
    await api.create({ netns: container.netns });
    const { host } = await api.add({
      ...toContainer(udp.port),
      protocol: 'udp',
      udpTimeoutMs: 100,
    });
    const round = () =>
      manyTimes(CONNECTIONS, async () => {
        using client = await UdpSocket.bind();
        await until(() => answer(client, host.port), 'an answer', 10_000);
      });
    expect(await growth(program, round)).toBeLessThan(MAX_GROWTH_KIB);
  });
});
