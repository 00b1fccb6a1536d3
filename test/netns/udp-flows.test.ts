import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Forwarder, type ForwardSpec } from '../../src/index.js';
import type { UdpService } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { Program } from '../helpers/program.js';
import { iproute2, isMissing } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const TIMEOUT_MS = 400;
const PAUSE_MS = 100;
// Several times the timeout, so that a flow which is not refreshed has no chance.
const PAUSES = 15;

const fixture = useContainer();

function toUdp(port: number, more: Partial<ForwardSpec> = {}): ForwardSpec {
  return {
    protocol: 'udp',
    host: { address: '127.0.0.1', port: 0 },
    container: { port },
    ...more,
  };
}

async function sources(service: UdpService): Promise<Set<string>> {
  return new Set((await service.seen()).map(({ from }) => from));
}

describe('the timeout of a UDP flow', () => {
  test('is postponed by datagrams to the container', async () => {
    const service = await fixture.container.udp();
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toUdp(service.port, { udpTimeoutMs: TIMEOUT_MS }));
    using client = await UdpSocket.bind();
    for (let i = 0; i < PAUSES; i += 1) {
      await client.send(`${i}`, host.port);
      await delay(PAUSE_MS);
    }
    await service.seenCount(PAUSES);
    expect((await sources(service)).size).toBe(1);
    expect(forwarder.stats().sessionsTotal).toBe(1);
  });

  test('is postponed by datagrams to the host', async () => {
    const service = await fixture.container.udp();
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toUdp(service.port, { udpTimeoutMs: TIMEOUT_MS }));
    using client = await UdpSocket.bind();
    await client.send('subscribe', host.port);
    await service.seenCount(1);
    for (let i = 0; i < PAUSES; i += 1) {
      await service.reply(`news ${i}`);
      expect((await client.next()).data.toString()).toBe(`news ${i}`);
      await delay(PAUSE_MS);
    }
    await client.send('thanks', host.port);
    await service.seenCount(2);
    expect((await sources(service)).size).toBe(1);
    expect(forwarder.stats().sessionsTotal).toBe(1);
  });

  test('ends an idle flow, and the next datagram starts another', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toUdp(service.port, { udpTimeoutMs: TIMEOUT_MS }));
    using client = await UdpSocket.bind();
    const start = performance.now();
    await client.ask('one', host.port);
    expect(forwarder.stats().sessionsOpen).toBe(1);
    await until(() => forwarder.stats().sessionsOpen === 0, 'the flow ends', 10 * TIMEOUT_MS);
    expect(performance.now() - start).toBeGreaterThan(TIMEOUT_MS);
    expect((await client.ask('two', host.port)).data.toString()).toBe('two');
    expect(forwarder.stats()).toMatchObject({ sessionsOpen: 1, sessionsTotal: 2, flowsEvicted: 0 });
  });
});

describe('UDP flows', () => {
  test('beyond maxFlows replace the least recently used one, which is counted', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns, workers: 4 });
    const { id, host } = await forwarder.add(toUdp(service.port, { maxFlows: 4 }));
    const clients = await Promise.all(Array.from({ length: 6 }, () => UdpSocket.bind()));
    for (const client of clients) await client.ask('hello', host.port);
    expect(forwarder.stats(id)).toMatchObject({
      sessionsOpen: 4,
      sessionsTotal: 6,
      flowsEvicted: 2,
    });
    const ports = forwarder.sessions().map(({ client }) => client.port);
    expect(ports.sort()).toEqual(
      clients
        .slice(2)
        .map(({ port }) => port)
        .sort(),
    );
    for (const client of clients) client.close();
  });

  test('survive refusals, so that the next datagram arrives from the same flow once a server listens', async () => {
    const port = 5_353;
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toUdp(port));
    using client = await UdpSocket.bind();
    await client.send('lost', host.port);
    await until(() => forwarder.stats().datagramsToContainer === 1, 'the first is sent on');
    await client.send('lost too', host.port);
    const [flow] = forwarder.sessions();
    await using server = await disposable(fixture.container.udp({ port, echo: true }));
    expect((await client.ask('hello', host.port)).data.toString()).toBe('hello');
    expect((await server.seen()).map(({ bytes }) => bytes)).toEqual([5]);
    expect(forwarder.stats()).toMatchObject({ sessionsOpen: 1, sessionsTotal: 1 });
    expect(forwarder.sessions()[0]?.client).toEqual(flow?.client);
  });

  test('survive a restart of the server', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const before = await fixture.container.udp({ echo: true });
    const { host } = await forwarder.add(toUdp(before.port));
    using client = await UdpSocket.bind();
    await client.ask('one', host.port);
    const [{ from } = { from: '' }] = await before.seen();
    await before.close();
    for (let i = 0; i < 5; i += 1) await client.send('lost', host.port);
    await until(() => forwarder.stats().datagramsToContainer === 6, 'all are sent on');
    const after = await fixture.container.udp({ port: before.port, echo: true });
    await client.ask('two', host.port);
    expect([...(await sources(after))]).toEqual([from]);
  });

  test('are not delayed by a target that cannot be reached', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns, workers: 1 });
    const nowhere = await forwarder.add(
      toUdp(53, { container: { address: '10.1.2.3', port: 53 } }),
    );
    const { host } = await forwarder.add(toUdp(service.port));
    using client = await UdpSocket.bind();
    for (let i = 0; i < 100; i += 1) await client.send('lost', nowhere.host.port);
    const start = performance.now();
    expect((await client.ask('hello', host.port)).data.toString()).toBe('hello');
    expect(performance.now() - start).toBeLessThan(200);
  });
});

describe('UDP replies', () => {
  test.each(['0.0.0.0', undefined])(
    'leave from the IPv4 address that the client sent to, listening on %s',
    async (address) => {
      const service = await fixture.container.udp({ echo: true });
      await using forwarder = new Forwarder({ netns: fixture.container.netns });
      const { host } = await forwarder.add(
        toUdp(service.port, { host: address === undefined ? { port: 0 } : { address, port: 0 } }),
      );
      using client = await UdpSocket.bind();
      for (const to of ['127.0.0.1', '127.0.0.2', '127.9.8.7']) {
        const { address: from, port } = await client.ask('who answers?', host.port, to);
        expect({ from, port }).toEqual({ from: to, port: host.port });
      }
      // One flow for each address that it sent to, or the replies would mix.
      expect(forwarder.stats().sessionsOpen).toBe(3);
    },
  );

  test.skipIf(isMissing(iproute2, 'UDP replies from several addresses'))(
    'leave from the address that the client sent to, on a host with several of both families',
    async () => {
      const service = await fixture.container.udp({ echo: true });
      await using program = new Program(
        new URL('../helpers/forwarder-program.ts', import.meta.url),
        {
          ownNetns: true,
        },
      );
      const api = program.api<ForwarderApi>();
      const addresses = ['fd00::1', 'fd00::2', '10.7.7.1', '10.7.7.2'];
      for (const address of addresses) {
        const prefix = address.includes(':') ? `${address}/128` : `${address}/32`;
        const nodad = address.includes(':') ? ['nodad'] : [];
        await api.run({ command: ['ip', 'address', 'add', prefix, 'dev', 'lo', ...nodad] });
      }
      await api.create({ netns: fixture.container.netns });
      const { host } = await api.add(toUdp(service.port, { host: { port: 0 } }));
      for (const to of addresses) {
        const from = to.includes(':') ? '::1' : '127.0.0.1';
        expect(await api.askUdp({ from, to, port: host.port })).toBe(to);
      }
    },
  );
});

async function disposable(service: Promise<UdpService>): Promise<UdpService & AsyncDisposable> {
  const opened = await service;
  return { ...opened, [Symbol.asyncDispose]: () => opened.close() };
}
