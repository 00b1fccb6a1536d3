import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { askTcp } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';

const CONTAINERS = 8;
// The same in each: they are told apart by their namespaces alone.
const PORT = 80;

const containers: Container[] = [];

beforeAll(async () => {
  containers.push(
    ...(await Promise.all(Array.from({ length: CONTAINERS }, () => Container.start()))),
  );
});
afterAll(() => Promise.all(containers.map((container) => container.stop())));

describe('one forwarder for many namespaces', () => {
  test('takes each TCP connection to the container of its forward, even if all connect at once', async () => {
    await Promise.all(
      containers.map((container, index) =>
        container.tcp({ kind: 'greet', text: `tcp ${index}` }, { port: PORT }),
      ),
    );
    await using forwarder = new Forwarder({ workers: 2 });
    const forwards = await forwarder.addAll(
      containers.map(({ netns }) => ({
        netns,
        host: { address: '127.0.0.1', port: 0 },
        container: { port: PORT },
      })),
    );
    const rounds = Array.from({ length: 20 }, () => forwards.map(({ host }) => askTcp(host)));
    const expected = containers.map((_, index) => `tcp ${index}`);
    for (const round of rounds) expect(await Promise.all(round)).toEqual(expected);
  });

  test('takes each UDP flow to the container of its forward', async () => {
    const services = await Promise.all(
      containers.map((container) => container.udp({ port: PORT, echo: true })),
    );
    await using forwarder = new Forwarder({ workers: 2 });
    const forwards = await forwarder.addAll(
      containers.map(({ netns }) => ({
        netns,
        protocol: 'udp' as const,
        host: { address: '127.0.0.1', port: 0 },
        container: { port: PORT },
      })),
    );
    for (const [index, { host }] of forwards.entries()) {
      using client = await UdpSocket.bind();
      const text = 'x'.repeat(index + 1);
      expect((await client.ask(text, host.port)).data.toString()).toBe(text);
    }
    const seen = await Promise.all(services.map((service) => service.seen()));
    expect(seen.map((datagrams) => datagrams.map(({ bytes }) => bytes))).toEqual(
      containers.map((_, index) => [index + 1]),
    );
  });

  test('still serves a namespace after the last process in it has exited', async () => {
    await using other = await Container.start();
    const container = await Container.start();
    const { port } = await other.tcp({ kind: 'greet', text: 'the other lives' });
    await using forwarder = new Forwarder();
    const here = { host: { address: '127.0.0.1', port: 0 }, container: { port } };
    const alive = await forwarder.add({ ...here, netns: other.netns });
    const gone = await forwarder.add({ ...here, netns: container.netns });
    await container.stop();
    await expect(askTcp(gone.host)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await askTcp(alive.host)).toBe('the other lives');
  });
});
