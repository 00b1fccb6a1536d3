import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import type { UdpService } from '../helpers/container.js';
import { payload } from '../helpers/payload.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const LARGEST = 65_507;
const SIZES = [0, 1, 2, 511, 1_400, 1_472, 1_473, 9_000, 65_000, LARGEST];

const fixture = useContainer();

function bytesOf(count: number): Buffer {
  return [...payload(count)][0] ?? Buffer.alloc(0);
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

async function forwardTo(forwarder: Forwarder, service: UdpService, address = '127.0.0.1') {
  const { host } = await forwarder.add({
    protocol: 'udp',
    host: { port: 0 },
    container: { address, port: service.port },
  });
  return host.port;
}

describe.each([
  { client: '127.0.0.1', target: '127.0.0.1' },
  { client: '127.0.0.1', target: '::1' },
  { client: '::1', target: '127.0.0.1' },
  { client: '::1', target: '::1' },
])('a UDP forward from $client to $target', ({ client: address, target }) => {
  test('keeps boundaries and contents of datagrams, including empty and largest ones', async () => {
    const service = await fixture.container.udp({ address: target, echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const port = await forwardTo(forwarder, service, target);
    using client = await UdpSocket.bind({ address });
    for (const size of SIZES) {
      const answer = await client.ask(bytesOf(size), port, address);
      expect({ size, equal: answer.data.equals(bytesOf(size)) }).toEqual({ size, equal: true });
      expect({ address: answer.address, port: answer.port }).toEqual({ address, port });
    }
    const seen = await service.seen();
    expect(seen.map(({ bytes }) => bytes)).toEqual(SIZES);
    expect(seen.map((datagram) => datagram.sha256)).toEqual(
      SIZES.map((size) => sha256(bytesOf(size))),
    );
    expect(new Set(seen.map(({ from }) => from)).size).toBe(1);
  });
});

describe('a UDP forward', () => {
  test('keeps the order and the sizes in a burst of equal or unequal datagrams', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const port = await forwardTo(forwarder, service);
    using client = await UdpSocket.bind();
    const sizes = [
      ...Array<number>(40).fill(700),
      3,
      0,
      1_200,
      1_200,
      0,
      ...Array<number>(20).fill(64),
      65,
    ];
    await Promise.all(sizes.map((size) => client.send(bytesOf(size), port)));
    await until(() => client.received.length === sizes.length, 'every datagram comes back');
    expect(client.received.map(({ data }) => data.length)).toEqual(sizes);
    expect((await service.seen()).map(({ bytes }) => bytes)).toEqual(sizes);
  });

  test('keeps 50 clients separate', async () => {
    const service = await fixture.container.udp({ echo: true });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const port = await forwardTo(forwarder, service);
    const clients = await Promise.all(Array.from({ length: 50 }, () => UdpSocket.bind()));
    const answers = await Promise.all(
      clients.map((client, index) => client.ask(`client ${index}`, port)),
    );
    expect(answers.map(({ data }) => data.toString())).toEqual(
      clients.map((_, index) => `client ${index}`),
    );
    const seen = await service.seen();
    expect(new Set(seen.map(({ from }) => from)).size).toBe(clients.length);
    expect(forwarder.stats().sessionsOpen).toBe(clients.length);
    for (const client of clients) client.close();
  });

  test('can share its port between 0.0.0.0 and ::, each of which serves its own family', async () => {
    const [four, six] = await Promise.all([
      fixture.container.udp({ echo: true }),
      fixture.container.udp({ echo: true }),
    ]);
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add({
      protocol: 'udp',
      host: { address: '0.0.0.0', port: 0 },
      container: { port: four.port },
    });
    await forwarder.add({
      protocol: 'udp',
      host: { address: '::', port: host.port },
      container: { port: six.port },
    });
    using client4 = await UdpSocket.bind();
    using client6 = await UdpSocket.bind({ address: '::1' });
    await client4.ask('4', host.port);
    await client6.ask('six', host.port, '::1');
    expect((await four.seen()).map(({ bytes }) => bytes)).toEqual([1]);
    expect((await six.seen()).map(({ bytes }) => bytes)).toEqual([3]);
  });
});
