import { once } from 'node:events';
import { createConnection } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Forwarder, type ForwardSpec } from '../../src/index.js';
import { askTcp, connectTcp, endingOf, nextText, textToEnd } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const HEADER = 'PROXY TCP4 203.0.113.9 192.0.2.80 51000 443\r\n';
const TIMEOUT_MS = 300;

const fixture = useContainer();

const to = (port: number, more: Partial<ForwardSpec> = {}): ForwardSpec => ({
  host: { address: '127.0.0.1', port: 0 },
  container: { port },
  ...more,
});
const believing = { acceptProxy: true, trustedProxies: ['127.0.0.0/8'] };

describe('PROXY headers to the container over TCP', () => {
  test('have the client’s address of either family, also on a dual-stack socket', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add({
      host: { port: 0 },
      container: { port },
      sourceAddress: 'proxy-v1',
    });
    for (const [family, address] of [
      ['TCP4', '127.0.0.1'],
      ['TCP6', '::1'],
    ] as const) {
      const socket = await connectTcp({ address, port: host.port });
      const from = socket.localPort ?? 0;
      socket.end('x');
      const header = `PROXY ${family} ${address} ${address} ${from} ${host.port}\r\n`;
      expect(await textToEnd(socket)).toBe(`${header}x`);
      socket.destroy();
    }
  });

  test('are sent at once, before the client sends anything, and are not counted', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(to(port, { sourceAddress: 'proxy-v1' }));
    const socket = await connectTcp(host);
    expect(await nextText(socket)).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/);
    expect(forwarder.stats().bytesToContainer).toBe(0);
    socket.destroy();
  });

  test('reach the new target if it changes while a client waits', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { id, host } = await forwarder.add(to(1, { sourceAddress: 'proxy-v1' }));
    const asked = askTcp(host, 'early');
    await until(() => forwarder.stats().connectRetries > 0, 'an attempt has failed');
    await forwarder.retarget(id, { port });
    expect(await asked).toMatch(/^PROXY TCP4 .*\r\nearly$/);
  });
});

describe('PROXY headers from a load balancer over TCP', () => {
  test('give the client’s address, in the list of sessions too', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(to(port, believing));
    const socket = await connectTcp(host);
    socket.write(HEADER.slice(0, 20));
    await until(() => forwarder.sessions().length === 1, 'the session begins');
    expect(forwarder.sessions()[0]?.state).toBe('connecting');
    socket.write(`${HEADER.slice(20)}hello`);
    expect(await nextText(socket)).toBe('hello');
    expect(forwarder.sessions()).toMatchObject([
      { client: { address: '203.0.113.9', port: 51_000 }, state: 'open' },
    ]);
    socket.destroy();
  });

  test('are rejected and counted if they are malformed, late or from a stranger', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(
      to(port, { ...believing, trustedProxies: ['127.0.0.1'], proxyHeaderTimeoutMs: TIMEOUT_MS }),
    );
    const reset = { ended: false, errorCode: 'ECONNRESET' };

    const malformed = await connectTcp(host);
    malformed.write('GET / HTTP/1.1\r\n');
    expect(await endingOf(malformed)).toEqual(reset);

    const start = performance.now();
    const late = await connectTcp(host);
    late.write('PROXY TCP4');
    expect(await endingOf(late)).toEqual(reset);
    expect(performance.now() - start).toBeGreaterThan(TIMEOUT_MS - 20);

    const stranger = createConnection({ ...host, host: host.address, localAddress: '127.0.0.2' });
    const [error] = (await once(stranger.resume(), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');

    expect(forwarder.stats()).toMatchObject({
      proxyHeadersMalformed: 1,
      proxyHeadersLate: 1,
      proxySourcesUntrusted: 1,
      connectFailures: 0,
    });
  });
});

describe('PROXY headers over UDP', () => {
  test('precede each datagram to the container, and no reply', async () => {
    const service = await fixture.container.udp();
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(
      to(service.port, { protocol: 'udp', sourceAddress: 'proxy-v2' }),
    );
    using client = await UdpSocket.bind();
    await client.send('one', host.port);
    await client.send('three', host.port);
    // 16 bytes, 12 for the two ends, 19 for the unique id.
    const seen = await service.seenCount(2);
    expect(seen.map(({ bytes }) => bytes)).toEqual([47 + 3, 47 + 5]);
    await service.reply('answer');
    expect((await client.next()).data.toString()).toBe('answer');
    expect(forwarder.stats().bytesToContainer).toBe(8);
  });

  test('from a load balancer give the client’s address of each datagram', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(to(service.port, { ...believing, protocol: 'udp' }));
    using balancer = await UdpSocket.bind();
    const ends = 'cb007109c0000250c73801bb';
    const header = Buffer.from(`${SIGNATURE}2112000c${ends}`, 'hex');
    const answer = await balancer.ask(Buffer.concat([header, Buffer.from('hello')]), host.port);
    expect(answer).toMatchObject({ address: '127.0.0.1', port: host.port });
    expect(answer.data.toString()).toBe('hello');
    expect(forwarder.sessions()).toMatchObject([
      { client: { address: '203.0.113.9', port: 51_000 } },
    ]);
    await balancer.send('no header', host.port);
    await until(() => forwarder.stats().proxyHeadersMalformed === 1, 'a datagram is refused');
  });
});
