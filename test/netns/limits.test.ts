// Whom a forward lets in: real clients, of real addresses, and what the counters say of those who
// stay out.

import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Socket } from 'node:net';
import { Forwarder, type Forward, type ForwardSpec, type Stats } from '../../src/index.js';
import type { TcpService, UdpService } from '../helpers/container.js';
import { isServed } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const fixture = useContainer();
let echo: TcpService;
let datagrams: UdpService;
let forwarder: Forwarder;
const clients: Socket[] = [];

beforeAll(async () => {
  echo = await fixture.container.tcp({ kind: 'echo' });
  datagrams = await fixture.container.udp({ echo: true });
});
beforeEach(() => {
  forwarder = new Forwarder({ netns: fixture.container.netns, workers: 4 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await forwarder.close();
});

const tcp = (limits: Partial<ForwardSpec>): ForwardSpec => ({
  host: { address: '127.0.0.1', port: 0 },
  container: { port: echo.port },
  ...limits,
});
const udp = (limits: Partial<ForwardSpec>): ForwardSpec => ({
  protocol: 'udp',
  host: { address: '127.0.0.1', port: 0 },
  container: { port: datagrams.port },
  ...limits,
});

const isIn = ({ host: { port } }: Forward, address?: string): Promise<boolean> =>
  isServed({ port, ...(address !== undefined && { address }) }, clients);

function refusals({ sessionsDenied, sessionsOverLimit, sessionsOverRate }: Stats): number[] {
  return [sessionsDenied, sessionsOverLimit, sessionsOverRate];
}

describe('the limit on sessions', () => {
  test('holds over all workers, and resets a client too many', async () => {
    const forward = await forwarder.add(tcp({ maxSessions: 5 }));
    const served = [];
    for (let i = 0; i < 12; i += 1) served.push(await isIn(forward));
    expect(served.filter(Boolean)).toHaveLength(5);
    expect(refusals(forwarder.stats(forward.id))).toEqual([0, 7, 0]);
    expect(forwarder.stats()).toMatchObject({ sessionsTotal: 5, sessionsOpen: 5 });
    clients[0]?.destroy();
    await until(() => forwarder.stats().sessionsOpen === 4, 'a session ends');
    expect(await isIn(forward)).toBe(true);
  });

  test('holds for each port of a range separately', async () => {
    const spec = { ...tcp({ maxSessions: 1 }), container: { port: 4_000 }, count: 2 };
    const forwards = await forwarder.addAll([spec]);
    await forwarder.retarget(
      forwards.map(({ id }) => id),
      { port: echo.port },
    );
    for (const forward of forwards) {
      expect(await isIn(forward)).toBe(true);
      expect(await isIn(forward)).toBe(false);
    }
  });

  test('holds for UDP too, where the oldest flow is kept', async () => {
    const { id, host } = await forwarder.add(udp({ maxSessions: 1 }));
    using first = await UdpSocket.bind();
    using second = await UdpSocket.bind();
    expect((await first.ask('one', host.port)).data.toString()).toBe('one');
    for (let i = 0; i < 3; i += 1) await second.send('no', host.port);
    await until(() => forwarder.stats(id).sessionsOverLimit === 3, 'the refusals');
    expect((await first.ask('two', host.port)).data.toString()).toBe('two');
    expect(forwarder.stats(id)).toMatchObject({ flowsEvicted: 0, datagramsDropped: 0 });
  });
});

describe('lists of allowed and denied addresses', () => {
  test('accept clients that they allow, and none that they deny', async () => {
    const forward = await forwarder.add({
      ...tcp({ allow: ['127.0.0.1', '::1'], deny: ['::1/128'] }),
      host: { port: 0 },
    });
    expect(forward.host.dualStack).toBe(true);
    expect(await isIn(forward)).toBe(true);
    expect(await isIn(forward, '::1')).toBe(false);
    expect(refusals(forwarder.stats(forward.id))).toEqual([1, 0, 0]);
    const other = await forwarder.add({ ...tcp({ deny: ['127.0.0.0/8'] }), host: { port: 0 } });
    expect(await isIn(other)).toBe(false);
    expect(await isIn(other, '::1')).toBe(true);
  });

  test('apply to the first datagram of a flow', async () => {
    const { id, host } = await forwarder.add(udp({ allow: ['10.0.0.0/8'] }));
    using client = await UdpSocket.bind();
    for (let i = 0; i < 3; i += 1) await client.send('no', host.port);
    await until(() => forwarder.stats(id).sessionsDenied === 3, 'the refusals');
    expect(forwarder.stats(id)).toMatchObject({ sessionsTotal: 0, datagramsToContainer: 0 });
  });

  test('may be long', async () => {
    const deny = Array.from({ length: 10_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/25`);
    const started = performance.now();
    const forward = await forwarder.add(tcp({ deny: [...deny, '127.0.0.2'] }));
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(await isIn(forward)).toBe(true);
  });
});

describe('the limit on the rate of new sessions', () => {
  test('holds after a burst of as many as one second allows', async () => {
    const forward = await forwarder.add(tcp({ maxSessionsPerSecond: 3 }));
    const started = performance.now();
    const served = await Promise.all(Array.from({ length: 20 }, () => isIn(forward)));
    const most = 3 + Math.ceil((3 * (performance.now() - started)) / 1_000);
    const number = served.filter(Boolean).length;
    expect(number).toBeGreaterThanOrEqual(3);
    expect(number).toBeLessThanOrEqual(most);
    expect(refusals(forwarder.stats(forward.id))).toEqual([0, 0, 20 - number]);
    await until(() => isIn(forward), 'a place in the rate');
  });
});
