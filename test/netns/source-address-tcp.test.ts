import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TcpService } from '../helpers/container.js';
import { at, Network } from '../helpers/network.js';
import { iproute2, isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';

let network: Network;
let service: TcpService;

/** Forwards a port of every address of the host; the port. */
async function forward(address: string, port: number): Promise<{ id: number; port: number }> {
  const { id, host } = await network.forwarder.add({
    host: { port: 0 },
    container: { address, port },
    sourceAddress: 'transparent',
  });
  return { id, port: host.port };
}

let lastClient = 0;

/** What the server says when a client connects; `end` closes the connection. */
async function ask(
  where: { address: string; port: number; localAddress?: string; localPort?: number },
  from = network.client,
): Promise<{ said: string; end: () => Promise<void> }> {
  const id = `client ${(lastClient += 1)}`;
  return { said: await from.tcpOpen({ id, ...where }), end: () => from.tcpEnd(id) };
}

async function fallbacks(): Promise<number> {
  return (await network.forwarder.stats()).sourceAddressFallbacks;
}

describe.skipIf(isMissing(iproute2, 'the tests of clients’ addresses'))('a client over TCP', () => {
  beforeAll(async () => {
    network = await Network.start();
    service = await network.container.tcp({ kind: 'whoami' }, { address: '0.0.0.0', port: 8080 });
    await network.container.tcp({ kind: 'whoami' }, { address: '::', port: 8080 });
    await network.container.tcp({ kind: 'whoami' }, { address: '0.0.0.0', port: 8081 });
  });
  afterEach(() => network.removeAll());
  afterAll(() => network.stop());

  test('has an IPv4 address and port that the server sees, and the session lists', async () => {
    const before = await fallbacks();
    const { port } = await forward(at.container, service.port);
    const { said, end } = await ask({ address: at.host, port, localPort: 40_001 });
    expect(said).toBe(`${at.client} 40001`);
    const [session] = await network.forwarder.sessions();
    expect(session?.client).toEqual({ address: at.client, port: 40_001 });
    expect(session?.source).toEqual(session?.client);
    await end();
    expect(await fallbacks()).toBe(before);
  });

  test('has an IPv6 address and port that the server sees', async () => {
    const { port } = await forward(at.container6, service.port);
    const { said, end } = await ask({ address: at.host6, port, localPort: 40_002 });
    expect(said).toBe(`${at.client6} 40002`);
    await end();
  });

  test('is seen by a server on the container’s own loopback too', async () => {
    const { port } = await forward('127.0.0.1', service.port);
    const { said, end } = await ask({ address: at.host, port, localPort: 40_003 });
    expect(said).toBe(`${at.client} 40003`);
    await end();
  });

  test('can connect from one port to two servers', async () => {
    const [one, other] = [await forward(at.container, 8080), await forward(at.container, 8081)];
    const first = await ask({ address: at.host, port: one.port, localPort: 40_004 });
    // Of another address of the client’s, and of the same.
    const second = await ask({
      address: at.host,
      port: other.port,
      localAddress: at.otherClient,
      localPort: 40_004,
    });
    expect([first.said, second.said]).toEqual([`${at.client} 40004`, `${at.otherClient} 40004`]);
    await Promise.all([first.end(), second.end()]);
  });

  test('is reset after retries if the server refuses', async () => {
    const { port } = await forward(at.container, 8099);
    await expect(ask({ address: at.host, port })).rejects.toThrow('ECONNRESET');
    expect((await network.forwarder.stats()).connectRetries).toBeGreaterThan(0);
  });

  describe('connects from the container’s address, and is counted,', () => {
    test('if its address family differs from the target’s, which is the loopback', async () => {
      const before = await fallbacks();
      const { port } = await forward('127.0.0.1', service.port);
      const { said, end } = await ask({ address: at.host6, port, localPort: 40_005 });
      expect(said.split(' ')[0]).toBe('127.0.0.1');
      const sessions = await network.forwarder.sessions();
      const session = sessions.find(({ client }) => client.port === 40_005);
      expect(session?.source?.address).toBe('127.0.0.1');
      await end();
      expect(await fallbacks()).toBe(before + 1);
    });

    test('if it comes from the host’s loopback', async () => {
      const before = await fallbacks();
      const { port } = await forward(at.container, service.port);
      const answer = await network.forwarder.askTcp({ address: '127.0.0.1', port });
      expect(answer.split(' ')[0]).toBe(at.container);
      expect(await fallbacks()).toBe(before + 1);
    });

    test('if it is on a network that the container is on', async () => {
      const before = await fallbacks();
      const { port } = await forward(at.container, service.port);
      const { said, end } = await ask({ address: at.gateway, port }, network.neighbor);
      expect(said.split(' ')[0]).toBe(at.container);
      await end();
      expect(await fallbacks()).toBe(before + 1);
    });

    test('if its port is in use in the container', async () => {
      const taken = await network.container.tcp({ kind: 'echo' }, { address: '0.0.0.0' });
      const before = await fallbacks();
      const { port } = await forward(at.container, service.port);
      const { said, end } = await ask({ address: at.host, port, localPort: taken.port });
      expect(said.split(' ')[0]).toBe(at.container);
      await end();
      expect(await fallbacks()).toBe(before + 1);
      await taken.close();
    });
  });

  test('can use several forwards to one port of the container', async () => {
    const [one, other] = [await forward(at.container, 8080), await forward(at.container, 8080)];
    const first = await ask({ address: at.host, port: one.port });
    const second = await ask({ address: at.host, port: other.port });
    expect(first.said.split(' ')[0]).toBe(at.client);
    expect(second.said.split(' ')[0]).toBe(at.client);
    await network.forwarder.remove({ id: one.id });
    const third = await ask({ address: at.host, port: other.port });
    expect(third.said.split(' ')[0]).toBe(at.client);
    await Promise.all([first.end(), second.end(), third.end()]);
  });

  test('can still be reached by the container without a forwarder', async () => {
    const direct = await network.client.tcp({ kind: 'whoami' }, { address: at.client });
    const { port } = await forward(at.container, service.port);
    const { end } = await ask({ address: at.host, port });
    const own = await ask({ address: at.client, port: direct.port }, network.container);
    expect(own.said.split(' ')[0]).toBe(at.container);
    await Promise.all([end(), own.end()]);
  });

  test('is served while the container’s address changes', async () => {
    const { id, port } = await forward(at.container, service.port);
    const before = await ask({ address: at.host, port });
    await network.ip(network.container, `address add ${at.secondOfContainer}/24 dev eth0`);
    await network.forwarder.retarget({ id, address: at.secondOfContainer });
    await network.ip(
      network.container,
      `address delete ${at.container}/24 dev eth0`,
      `address replace ${at.secondOfContainer}/24 dev eth0`,
      `route replace default via ${at.gateway}`,
    );
    const after = await ask({ address: at.host, port });
    expect(after.said.split(' ')[0]).toBe(at.client);
    // The session at the lost address ends, the other one stays.
    await network.forwarder.retarget({ id, address: at.secondOfContainer });
    await until(
      async () => (await network.forwarder.sessions()).length === 1,
      'the end of the session at the lost address',
    );
    expect(await network.forwarder.sessions()).toMatchObject([
      { target: { address: at.secondOfContainer } },
    ]);
    await Promise.all([before.end(), after.end()]);
    await network.ip(network.container, `address replace ${at.container}/24 dev eth0`);
    await network.forwarder.retarget({ id, address: at.container });
    const back = await ask({ address: at.host, port });
    expect(back.said.split(' ')[0]).toBe(at.client);
    await back.end();
  });

  test('is seen on a network without a default route', async () => {
    await network.ip(network.container, 'route delete default', '-6 route delete default');
    const [v4, v6] = [await forward(at.container, 8080), await forward(at.container6, 8080)];
    const first = await ask({ address: at.host, port: v4.port });
    const second = await ask({ address: at.host6, port: v6.port });
    expect(first.said.split(' ')[0]).toBe(at.client);
    expect(second.said.split(' ')[0]).toBe(at.client6);
    await Promise.all([first.end(), second.end()]);
    await network.ip(
      network.container,
      `route add default via ${at.gateway}`,
      '-6 route add default via fd88::1',
    );
  });
});
