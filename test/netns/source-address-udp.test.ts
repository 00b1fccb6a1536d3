import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { UdpService } from '../helpers/container.js';
import { at, Network } from '../helpers/network.js';
import { iproute2, isMissing } from '../helpers/tools.js';

let network: Network;
let server: UdpService;

async function forward(address: string, port: number): Promise<{ id: number; port: number }> {
  const { id, host } = await network.forwarder.add({
    protocol: 'udp',
    host: { port: 0 },
    container: { address, port },
    sourceAddress: 'transparent',
  });
  return { id, port: host.port };
}

async function fallbacks(): Promise<number> {
  return (await network.forwarder.stats()).sourceAddressFallbacks;
}

/** Whom the server in the container last heard from. */
async function lastSeen(of: UdpService, count: number): Promise<string | undefined> {
  return (await of.seenCount(count)).at(-1)?.from;
}

describe.skipIf(isMissing(iproute2, 'the tests of clients’ addresses'))('a client over UDP', () => {
  beforeAll(async () => {
    network = await Network.start();
    server = await network.container.udp({ address: '0.0.0.0', port: 5353, echo: true });
  });
  afterEach(() => network.removeAll());
  afterAll(() => network.stop());

  test('is seen by an IPv4 server on every address, and its reply arrives from the host', async () => {
    const { port } = await forward(at.container, server.port);
    const client = await network.client.udp({ address: at.client });
    await client.send('hello', { address: at.host, port });
    expect(await lastSeen(server, 1)).toBe(`${at.client} ${client.port}`);
    expect(await lastSeen(client, 1)).toBe(`${at.host} ${port}`);
    const [flow] = await network.forwarder.sessions();
    expect(flow?.source).toEqual({ address: at.client, port: client.port });
    expect(await fallbacks()).toBe(0);
    await client.close();
  });

  test('is seen by an IPv6 server on every address, and its reply arrives from the host', async () => {
    const server6 = await network.container.udp({ address: '::', port: 5354, echo: true });
    const { port } = await forward(at.container6, server6.port);
    const client = await network.client.udp({ address: at.client6 });
    await client.send('hello', { address: at.host6, port });
    expect(await lastSeen(server6, 1)).toBe(`${at.client6} ${client.port}`);
    expect(await lastSeen(client, 1)).toBe(`${at.host6} ${port}`);
    await client.close();
  });

  test('is seen by a server on the container’s own loopback too', async () => {
    const local = await network.container.udp({ address: '127.0.0.1', echo: true });
    const { port } = await forward('127.0.0.1', local.port);
    const client = await network.client.udp({ address: at.client });
    await client.send('hello', { address: at.host, port });
    expect(await lastSeen(local, 1)).toBe(`${at.client} ${client.port}`);
    expect(await lastSeen(client, 1)).toBe(`${at.host} ${port}`);
    await client.close();
  });

  test('does not keep the server from sending to others from its port', async () => {
    const [third, beyond] = [
      await network.neighbor.udp({ address: at.neighbor }),
      await network.client.udp({ address: at.otherClient }),
    ];
    const { port } = await forward(at.container, server.port);
    const client = await network.client.udp({ address: at.client });
    const seenBefore = (await server.seen()).length;
    await client.send('hello', { address: at.host, port });
    await client.seenCount(1);
    await server.send('to the bridge', { address: at.neighbor, port: third.port });
    await server.send('beyond the default route', { address: at.otherClient, port: beyond.port });
    expect(await lastSeen(third, 1)).toBe(`${at.container} ${server.port}`);
    expect(await lastSeen(beyond, 1)).toBe(`${at.container} ${server.port}`);
    // And the other way round.
    await third.send('from the bridge', { address: at.container, port: server.port });
    await third.seenCount(2);
    await client.send('still there?', { address: at.host, port });
    await client.seenCount(2);
    expect((await server.seen()).length).toBe(seenBefore + 3);
    await Promise.all([third.close(), beyond.close(), client.close()]);
  });

  test('with one port for two forwards to one server has the container’s address at the second', async () => {
    const [one, other] = [
      await forward(at.container, server.port),
      await forward(at.container, server.port),
    ];
    const before = await fallbacks();
    const seenBefore = (await server.seen()).length;
    const client = await network.client.udp({ address: at.client });
    await client.send('one', { address: at.host, port: one.port });
    expect(await lastSeen(client, 1)).toBe(`${at.host} ${one.port}`);
    await client.send('other', { address: at.host, port: other.port });
    expect(await lastSeen(client, 2)).toBe(`${at.host} ${other.port}`);
    const seen = (await server.seen()).slice(seenBefore).map(({ from }) => from.split(' ')[0]);
    expect(seen).toEqual([at.client, at.container]);
    expect(await fallbacks()).toBe(before + 1);
    await client.close();
  });

  test('gets answers from two addresses of the container', async () => {
    const [one, other] = [
      await forward(at.container, server.port),
      await forward('127.0.0.1', server.port),
    ];
    const clients = await Promise.all(
      [one, other].map(async ({ port }) => {
        const client = await network.client.udp({ address: at.client });
        await client.send('hello', { address: at.host, port });
        return { client, from: await lastSeen(client, 1), port };
      }),
    );
    for (const { from, port } of clients) expect(from).toBe(`${at.host} ${port}`);
    for (const { client } of clients) await client.close();
  });

  test('is served and seen at the new address after a retarget', async () => {
    const { id, port } = await forward(at.container, server.port);
    const clients = await Promise.all(
      [1, 2, 3].map(() => network.client.udp({ address: at.client })),
    );
    for (const client of clients) {
      await client.send('before', { address: at.host, port });
      await client.seenCount(1);
    }
    const before = await fallbacks();
    await network.ip(network.container, `address add ${at.secondOfContainer}/24 dev eth0`);
    await network.forwarder.retarget({ id, address: at.secondOfContainer });
    await network.ip(network.container, `address delete ${at.secondOfContainer}/24 dev eth0`);
    await network.ip(network.container, `address add ${at.secondOfContainer}/24 dev eth0`);
    for (const client of clients) {
      await client.send('after', { address: at.host, port });
      await client.seenCount(2);
      expect((await server.seen()).at(-1)?.from).toBe(`${at.client} ${client.port}`);
    }
    expect(await fallbacks()).toBe(before);
    for (const client of clients) await client.close();
  });
});
