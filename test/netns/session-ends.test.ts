// How sessions and flows end, as whoever asked to be told hears of it.

import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Forwarder,
  type EndedSession,
  type Forward,
  type ForwarderOptions,
  type ForwardSpec,
} from '../../src/index.js';
import type { TcpService, UdpService } from '../helpers/container.js';
import { askTcp, connectTcp, endingOf, isServed, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

// Nothing else lives in the container's namespace, so nobody listens here.
const DEAD_PORT = 80;

const fixture = useContainer();
let echo: TcpService;
let datagrams: UdpService;
let forwarder: Forwarder;
const told: EndedSession[] = [];

beforeAll(async () => {
  echo = await fixture.container.tcp({ kind: 'echo' });
  datagrams = await fixture.container.udp({ echo: true });
});
beforeEach(() => {
  told.length = 0;
  forwarder = open((ended) => void told.push(...ended));
});
afterEach(() => forwarder.close());

function open(onSessionsEnded: ForwarderOptions['onSessionsEnded']): Forwarder {
  return new Forwarder({
    netns: fixture.container.netns,
    ...(onSessionsEnded !== undefined && { onSessionsEnded }),
  });
}

function tcp(port: number, more: Partial<ForwardSpec> = {}): ForwardSpec {
  return { host: { address: '127.0.0.1', port: 0 }, container: { port }, ...more };
}

const udp = (more: Partial<ForwardSpec> = {}): ForwardSpec => ({
  ...tcp(datagrams.port, more),
  protocol: 'udp',
});

/** The only one that is told of. */
async function theEnd(): Promise<EndedSession> {
  await until(() => told.length > 0, 'the end of a session');
  const [end, ...more] = told;
  expect(more).toEqual([]);
  if (end === undefined) throw new Error('nothing is told of');
  return end;
}

/** Connects, and waits until the server has answered. */
async function served({ host }: Forward) {
  const client = await connectTcp(host);
  client.write('hello');
  expect(await nextText(client)).toBe('hello');
  return client;
}

describe('the report of a TCP session’s end', () => {
  test('has the client, target, bytes and times when both sides have finished', async () => {
    const forward = await forwarder.add(tcp(echo.port));
    const client = await connectTcp(forward.host);
    const { localPort } = client;
    client.end('to and fro');
    expect(await endingOf(client)).toEqual({ ended: true });
    const { durationMs, connectMs = NaN, ...rest } = await theEnd();
    expect(rest).toEqual({
      forwardId: forward.id,
      protocol: 'tcp',
      client: { address: '127.0.0.1', port: localPort },
      target: { address: '127.0.0.1', port: echo.port },
      bytesToContainer: 10,
      bytesToHost: 10,
      ending: 'fin',
    });
    expect(connectMs).toBeGreaterThan(0);
    expect(durationMs).toBeGreaterThanOrEqual(connectMs);
    expect(durationMs).toBeLessThan(10_000);
  });

  test('names a reset by the client', async () => {
    const client = await served(await forwarder.add(tcp(echo.port)));
    client.resetAndDestroy();
    expect(await theEnd()).toMatchObject({ ending: 'client-reset', bytesToHost: 5 });
  });

  test('names a reset by the server', async () => {
    const resetting = await fixture.container.tcp({ kind: 'reset' });
    const { host } = await forwarder.add(tcp(resetting.port));
    const client = await connectTcp(host);
    client.write('hello');
    expect(await endingOf(client)).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    expect(await theEnd()).toMatchObject({ ending: 'server-reset', bytesToContainer: 5 });
    await resetting.close();
  });

  test('names the removal of its forward', async () => {
    const forward = await forwarder.add(tcp(echo.port));
    await served(forward);
    await forwarder.remove(forward.id);
    expect(await theEnd()).toMatchObject({ ending: 'removed', bytesToContainer: 5 });
  });

  test('comes before the forwarder has closed', async () => {
    await served(await forwarder.add(tcp(echo.port)));
    void forwarder.close();
    expect(told).toMatchObject([{ ending: 'removed', bytesToHost: 5 }]);
  });

  test('names a server that refuses, with the error', async () => {
    const { host } = await forwarder.add(tcp(DEAD_PORT));
    await endingOf(await connectTcp(host));
    const end = await theEnd();
    expect(end).toMatchObject({
      ending: 'connect-failed',
      error: 'ECONNREFUSED',
      bytesToContainer: 0,
    });
    expect(end).not.toHaveProperty('connectMs');
  });

  test('names a server that cannot be reached, with the error', async () => {
    const target = { container: { address: '10.1.2.3', port: DEAD_PORT } };
    const { host } = await forwarder.add({ ...tcp(DEAD_PORT), ...target });
    await endingOf(await connectTcp(host));
    expect(await theEnd()).toMatchObject({ ending: 'connect-failed', error: 'ENETUNREACH' });
  });

  test('names a server that did not listen in time', async () => {
    const { host } = await forwarder.add(tcp(DEAD_PORT, { connectTimeoutMs: 50 }));
    await endingOf(await connectTcp(host));
    expect(await theEnd()).toMatchObject({ ending: 'connect-timeout', error: 'ECONNREFUSED' });
  });
});

describe('a TCP client that is rejected', () => {
  test.each<[string, Partial<ForwardSpec>, number]>([
    ['denied', { deny: ['127.0.0.0/8'] }, 0],
    ['over-limit', { maxSessions: 1 }, 1],
    ['over-rate', { maxSessionsPerSecond: 1 }, 1],
    ['over-client-limit', { maxSessionsPerClient: 1 }, 1],
    ['proxy-untrusted', { acceptProxy: true, trustedProxies: ['10.0.0.1'] }, 0],
    ['proxy-malformed', { acceptProxy: true, trustedProxies: ['127.0.0.1'] }, 0],
  ])('is reported as %s', async (ending, limits, before) => {
    const forward = await forwarder.add(tcp(echo.port, limits));
    for (let count = 0; count < before; count++) await served(forward);
    expect(await isServed(forward.host)).toBe(false);
    expect(await theEnd()).toMatchObject({
      ending,
      client: { address: '127.0.0.1' },
      target: { port: echo.port },
      bytesToContainer: 0,
      bytesToHost: 0,
    });
  });

  test('is reported as proxy-late', async () => {
    const proxied = { acceptProxy: true, trustedProxies: ['127.0.0.1'], proxyHeaderTimeoutMs: 50 };
    const { host } = await forwarder.add(tcp(echo.port, proxied));
    await endingOf(await connectTcp(host));
    expect(await theEnd()).toMatchObject({ ending: 'proxy-late' });
  });
});

describe('the report of a UDP flow’s end', () => {
  test('has the client, target and bytes when the flow has timed out', async () => {
    const { id, host } = await forwarder.add(udp({ udpTimeoutMs: 50 }));
    using client = await UdpSocket.bind();
    await client.ask('question', host.port);
    const { durationMs, ...rest } = await theEnd();
    expect(rest).toEqual({
      forwardId: id,
      protocol: 'udp',
      client: { address: '127.0.0.1', port: client.port },
      target: { address: '127.0.0.1', port: datagrams.port },
      bytesToContainer: 8,
      bytesToHost: 8,
      ending: 'idle-timeout',
    });
    expect(durationMs).toBeGreaterThanOrEqual(50);
  });

  test('names another flow that took its place', async () => {
    const { host } = await forwarder.add(udp({ maxFlows: 1 }));
    using first = await UdpSocket.bind();
    using second = await UdpSocket.bind();
    await first.ask('one', host.port);
    await second.ask('two', host.port);
    expect(await theEnd()).toMatchObject({ ending: 'evicted', client: { port: first.port } });
  });

  test('names the removal of its forward', async () => {
    const { id, host } = await forwarder.add(udp());
    using client = await UdpSocket.bind();
    await client.ask('one', host.port);
    await forwarder.remove(id);
    expect(await theEnd()).toMatchObject({ ending: 'removed', client: { port: client.port } });
  });

  test('comes once for a rejected client, however many datagrams it sends', async () => {
    const { id, host } = await forwarder.add(udp({ deny: ['127.0.0.0/8'] }));
    using client = await UdpSocket.bind();
    for (let count = 0; count < 5; count++) await client.send('no', host.port);
    await until(() => forwarder.stats(id).sessionsDenied === 5, 'the refusals');
    expect(await theEnd()).toMatchObject({ ending: 'denied', client: { port: client.port } });
  });
});

describe('the handler onSessionsEnded', () => {
  const SESSIONS = 40;

  test('gets each session once, however many end', async () => {
    const { host } = await forwarder.add(tcp(echo.port));
    const asked = Array.from({ length: SESSIONS }, (_, index) => askTcp(host, `${index}`));
    await Promise.all(asked);
    await until(() => told.length >= SESSIONS, 'the ends of all sessions');
    expect(new Set(told.map(({ client }) => client.port)).size).toBe(SESSIONS);
    expect(forwarder.stats().sessionLogDropped).toBe(0);
  });

  test('gets the next sessions only when its promise is fulfilled', async () => {
    const batches: number[] = [];
    const waiting: (() => void)[] = [];
    await using slow = open(async (ended) => {
      batches.push(ended.length);
      await new Promise<void>((resolve) => waiting.push(resolve));
    });
    const { host } = await slow.add(tcp(echo.port));
    await askTcp(host, 'first');
    await until(() => batches.length === 1, 'the first batch');
    for (let count = 0; count < 5; count++) await askTcp(host, 'more');
    expect(batches).toEqual([1]);
    for (const go of waiting.splice(0)) go();
    await until(() => batches.length === 2, 'the second batch');
    expect(batches).toEqual([1, 5]);
    for (const go of waiting.splice(0)) go();
  });

  test('is called again after it has thrown', async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown) => void rejections.push(reason);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
    try {
      let calls = 0;
      await using failing = open(() => {
        calls++;
        throw new Error('no place to write to');
      });
      const { host } = await failing.add(tcp(echo.port));
      await askTcp(host, 'first');
      await until(() => rejections.length === 1, 'the rejection');
      await askTcp(host, 'second');
      await until(() => calls === 2, 'the second call');
      await until(() => rejections.length === 2, 'the second rejection');
    } finally {
      process.removeListener('unhandledRejection', note);
      for (const other of others) process.on('unhandledRejection', other);
    }
  });
});
