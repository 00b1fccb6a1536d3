// What a client that takes all it can get costs the process, and the clients beside it.

import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Forward, ForwardSpec, Stats } from '../../src/index.js';
import type { ContainerApi } from '../helpers/container-program.js';
import { Container } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { Program } from '../helpers/program.js';
import { connectTcp, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';
import type { Greed, GreedyClientApi } from './programs/greedy-client.js';

const PLACES = 40;
/** At most two sockets for each place, and a pipe; and what workers keep for the next bulk. */
const MAX_FDS = PLACES * 4 + 64;
/** For each place, as docs/benchmarks.md measures it, and Node's own ups and downs. */
const MAX_GROWTH_KIB = PLACES * 16 + 4_096;
const WINDOW_MS = 700;
const WINDOWS = 3;
/** One turn of a scheduler that has more to run than processors. */
const NOISE_MS = 2;

interface Case {
  readonly greed: Greed;
  readonly forward: 'echo' | 'source' | 'balanced' | 'datagrams';
  /** What tells of it. */
  readonly counters: readonly (keyof Stats)[];
}

const cases: readonly Case[] = [
  { greed: 'silence', forward: 'echo', counters: ['sessionsOverClientLimit'] },
  { greed: 'slow reading', forward: 'source', counters: ['sessionsOverClientLimit'] },
  {
    greed: 'a dribbling header',
    forward: 'balanced',
    counters: ['sessionsOverLimit', 'proxyHeadersLate'],
  },
  { greed: 'short connections', forward: 'echo', counters: ['sessionsTotal'] },
  { greed: 'UDP flows', forward: 'datagrams', counters: ['sessionsOverClientLimit'] },
];

let container: Container;
/** Beside the servers of the neighbors, which have a thread of their own. */
let lavish: Program;
let program: Program;
let greedy: Program;
let forwards: Record<Case['forward'], Forward>;

beforeAll(async () => {
  container = await Container.start();
  lavish = new Program(new URL('../helpers/container-program.ts', import.meta.url), {
    netnsOf: container.pid,
  });
  greedy = new Program(new URL('./programs/greedy-client.ts', import.meta.url));
});
afterAll(async () => {
  await greedy.stop();
  await lavish.stop();
  await container.stop();
});

beforeEach(async () => {
  program = new Program(new URL('../helpers/forwarder-program.ts', import.meta.url), {
    nodeArgs: ['--expose-gc'],
  });
  const api = program.api<ForwarderApi>();
  await api.create({ netns: container.netns });
  const echo = await container.tcp({ kind: 'echo' });
  const source = await lavish
    .api<ContainerApi>()
    .tcpServe({ behavior: { kind: 'source', bytes: 64 << 20 } });
  const datagrams = await container.udp({ echo: true });
  const add = ({ port }: { port: number }, settings: Partial<ForwardSpec> = {}) =>
    api.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port },
      maxSessionsPerClient: PLACES,
      ...settings,
    });
  const balanced = {
    acceptProxy: true,
    trustedProxies: ['127.0.0.66'],
    maxSessions: PLACES,
    proxyHeaderTimeoutMs: 500,
  };
  forwards = {
    echo: await add(echo),
    source: await add(source),
    balanced: await add(echo, balanced),
    datagrams: await add(datagrams, { protocol: 'udp', udpTimeoutMs: 1_000 }),
  };
});
afterEach(() => program.stop());

/** Round trips of a client that means no harm: one that stays, one that comes anew each time. */
class Neighbor implements AsyncDisposable {
  readonly #lasting: Socket;
  readonly #udp: UdpSocket;

  private constructor(lasting: Socket, udp: UdpSocket) {
    this.#lasting = lasting;
    this.#udp = udp;
  }

  static async start(): Promise<Neighbor> {
    return new Neighbor(await connectTcp(forwards.echo.host), await UdpSocket.bind());
  }

  /** The 99th percentile within a window of time. Unit: ms. */
  async p99(): Promise<number> {
    const times: number[] = [];
    const end = performance.now() + WINDOW_MS;
    for (let began = performance.now(); began < end; began = performance.now()) {
      await this.#roundTrip(times.length);
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    return times[Math.floor(times.length * 0.99)] ?? NaN;
  }

  async #roundTrip(number: number): Promise<void> {
    if (number % 10 === 0) {
      const brief = await connectTcp(forwards.echo.host);
      brief.write('brief');
      expect(await nextText(brief)).toBe('brief');
      brief.destroy();
    } else if (number % 2 === 0) {
      const answer = await this.#udp.ask(`${number}`, forwards.datagrams.host.port);
      expect(answer.data.toString()).toBe(`${number}`);
    } else {
      this.#lasting.write(`${number}`);
      expect(await nextText(this.#lasting)).toBe(`${number}`);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#lasting.destroy();
    this.#udp.close();
    return Promise.resolve();
  }
}

const medianOf = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[WINDOWS >> 1] ?? NaN;

describe('one client that takes all it can get', () => {
  test.each(cases)('by $greed costs little, and others wait no longer', async (each) => {
    const api = program.api<ForwarderApi>();
    const client = greedy.api<GreedyClientApi>();
    const { port } = forwards[each.forward].host;
    await using neighbor = await Neighbor.start();
    await neighbor.p99();
    const before = await api.facts();
    const quiet: number[] = [];
    const beside: number[] = [];
    for (let window = 0; window < WINDOWS; window += 1) {
      quiet.push(await neighbor.p99());
      await client.start({ greed: each.greed, port });
      beside.push(await neighbor.p99());
      const during = await api.facts();
      expect(during.fds - before.fds).toBeLessThanOrEqual(MAX_FDS);
      expect(during.privateKiB - before.privateKiB).toBeLessThanOrEqual(MAX_GROWTH_KIB);
      await client.stop();
      // The neighbor's, which stay.
      await until(async () => (await api.stats()).sessionsOpen <= 2, 'its sessions end', 10_000);
    }
    const stats = await api.stats();
    for (const counter of each.counters) expect(stats[counter], counter).toBeGreaterThan(PLACES);
    expect(stats.flowsEvicted + stats.acceptPauses).toBe(0);
    expect(medianOf(beside)).toBeLessThanOrEqual(2 * medianOf(quiet) + NOISE_MS);
    const { fds } = await api.facts();
    expect(fds - before.fds).toBeLessThanOrEqual(64);
  });
});
