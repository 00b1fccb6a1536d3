import { describe, expect, test } from 'vitest';
import { CONNECT_LATENCY_BUCKETS_MICROS, Forwarder, type Stats } from '../../src/index.js';
import { digestOf, sendPayload } from '../helpers/payload.js';
import { askTcp, connectTcp, nextText, textToEnd } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const MIB = 1 << 20;

const fixture = useContainer();

const here = { address: '127.0.0.1', port: 0 };

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

describe('stats', () => {
  test('start at zero', () => {
    const forwarder = new Forwarder({ netns: fixture.container.netns });
    const { connectLatency, ...counters } = forwarder.stats();
    expect(Object.values(counters).every((count) => count === 0)).toBe(true);
    expect(connectLatency).toHaveLength(CONNECT_LATENCY_BUCKETS_MICROS.length + 1);
    void forwarder.close();
  });

  test('count every byte and session of TCP, by forward and in total', async () => {
    const digest = await fixture.container.tcp({ kind: 'digest' });
    const source = await fixture.container.tcp({ kind: 'source', bytes: 3 * MIB + 1 });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const up = await forwarder.add({ host: here, container: { port: digest.port } });
    const begin = performance.now();
    const down = await forwarder.add({ host: here, container: { port: source.port } });
    const uploading = await connectTcp(up.host);
    const answer = textToEnd(uploading);
    await sendPayload(uploading, 5 * MIB + 7);
    uploading.end();
    const answered = (await answer).length;
    const downloading = await connectTcp(down.host);
    await digestOf(downloading);
    downloading.end();
    await until(() => forwarder.stats().sessionsOpen === 0, 'the sessions end');
    const elapsedMicros = (performance.now() - begin) * 1_000;
    expect(forwarder.stats(up.id)).toMatchObject({
      sessionsTotal: 1,
      bytesToContainer: 5 * MIB + 7,
      bytesToHost: answered,
    });
    expect(forwarder.stats(down.id)).toMatchObject({
      sessionsTotal: 1,
      bytesToContainer: 0,
      bytesToHost: 3 * MIB + 1,
    });
    const all = forwarder.stats();
    expect(all).toMatchObject({
      sessionsTotal: 2,
      bytesToContainer: 5 * MIB + 7,
      bytesToHost: answered + 3 * MIB + 1,
      sessionsReset: 0,
      localFailures: 0,
      connectFailures: 0,
    });
    expect(sum(all.connectLatency)).toBe(2);
    expect(all.connectMicrosTotal).toBeGreaterThan(0);
    // The two sessions are one after the other.
    expect(all.connectMicrosTotal).toBeLessThan(elapsedMicros);
  });

  test('count every datagram and byte of UDP', async () => {
    const { port } = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add({ protocol: 'udp', host: here, container: { port } });
    using client = await UdpSocket.bind();
    for (const size of [0, 10, 1_000]) await client.ask(Buffer.alloc(size), host.port);
    expect(forwarder.stats(id)).toMatchObject({
      sessionsOpen: 1,
      sessionsTotal: 1,
      datagramsToContainer: 3,
      datagramsToHost: 3,
      bytesToContainer: 1_010,
      bytesToHost: 1_010,
      datagramsDropped: 0,
      datagramsLostInKernel: 0,
    });
  });

  test('add up to the total of all forwards, including removed ones', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forwards = await forwarder.addAll(
      Array.from({ length: 4 }, () => ({ host: here, container: { port } })),
    );
    const asks = forwards.flatMap(({ host }, index) =>
      Array.from({ length: 10 + index }, () => askTcp(host, 'x'.repeat(100 + index))),
    );
    await Promise.all(asks);
    await until(() => forwarder.stats().sessionsOpen === 0, 'the sessions end');
    const each = forwards.map(({ id }) => forwarder.stats(id));
    const total = (key: keyof Stats & `${'bytes' | 'sessions'}To${string}`) =>
      sum(each.map((stats) => stats[key]));
    const before = forwarder.stats();
    expect(before.sessionsTotal).toBe(46);
    expect(before.sessionsTotal).toBe(sum(each.map(({ sessionsTotal }) => sessionsTotal)));
    expect(before.bytesToContainer).toBe(total('bytesToContainer'));
    expect(before.bytesToHost).toBe(total('bytesToHost'));
    expect(sum(before.connectLatency)).toBe(46);
    await forwarder.remove(forwards.map(({ id }) => id));
    expect(forwarder.stats()).toEqual(before);
    await forwarder.close();
    expect(forwarder.stats()).toEqual(before);
  });
});

describe('sessions', () => {
  test('lists TCP sessions and UDP flows with their addresses, bytes and age', async () => {
    const tcp = await fixture.container.tcp({ kind: 'echo' });
    const udp = await fixture.container.udp({ echo: true }).then(({ port }) => port);
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const stream = await forwarder.add({ host: here, container: { port: tcp.port } });
    const datagrams = await forwarder.add({
      protocol: 'udp',
      host: here,
      container: { port: udp },
    });
    const socket = await connectTcp(stream.host);
    socket.write('hello');
    await nextText(socket);
    using client = await UdpSocket.bind();
    await client.ask('hi', datagrams.host.port);
    const sessions = forwarder.sessions().sort((a, b) => a.forwardId - b.forwardId);
    expect(sessions).toEqual([
      {
        forwardId: stream.id,
        protocol: 'tcp',
        client: { address: '127.0.0.1', port: socket.localPort },
        target: { address: '127.0.0.1', port: tcp.port },
        source: { address: '127.0.0.1', port: expect.any(Number) as number },
        state: 'open',
        bytesToContainer: 5,
        bytesToHost: 5,
        ageMs: expect.any(Number) as number,
      },
      {
        forwardId: datagrams.id,
        protocol: 'udp',
        client: { address: '127.0.0.1', port: client.port },
        target: { address: '127.0.0.1', port: udp },
        source: { address: '127.0.0.1', port: expect.any(Number) as number },
        state: 'open',
        bytesToContainer: 2,
        bytesToHost: 2,
        ageMs: expect.any(Number) as number,
      },
    ]);
    const age = Math.max(...sessions.map(({ ageMs }) => ageMs));
    await until(() => forwarder.sessions().some(({ ageMs }) => ageMs > age + 20), 'it grows older');
    socket.destroy();
    await until(() => forwarder.sessions().length === 1, 'the tcp session ends');
  });

  test('shows a client of a dual-stack forward with its IPv4 address', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add({ host: { port: 0 }, container: { port } });
    const socket = await connectTcp({ port: host.port });
    socket.write('hello');
    await nextText(socket);
    expect(forwarder.sessions()[0]?.client.address).toBe('127.0.0.1');
    socket.destroy();
  });

  test('shows a session as connecting while its server does not listen', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add({ host: here, container: { port: 81 } });
    const socket = await connectTcp(host);
    await until(() => forwarder.sessions()[0]?.state === 'connecting', 'the session is connecting');
    socket.destroy();
  });
});
