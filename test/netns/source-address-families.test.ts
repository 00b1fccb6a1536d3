// Clients of another family than the target's address, as a dual-stack network brings them over TCP
// to a container of whose addresses the forward names one.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { at, Network } from '../helpers/network.js';
import { iproute2, isMissing } from '../helpers/tools.js';

let network: Network;
let lastClient = 0;

/** Forwards a port of every address of the host to the container. */
async function forward(
  port: number,
  address: string = at.container,
): Promise<{ id: number; port: number }> {
  const { id, host } = await network.forwarder.add({
    host: { port: 0 },
    container: { address, port },
    sourceAddress: 'transparent',
  });
  return { id, port: host.port };
}

/** Whom a server that listens to all says that it sees, when a client connects over TCP. */
async function seenBy(address: string, port: number): Promise<string> {
  const id = `client ${(lastClient += 1)}`;
  const said = await network.client.tcpOpen({ id, address, port });
  await network.client.tcpEnd(id);
  return said.split(' ')[0] ?? '';
}

async function fallbacks(): Promise<number> {
  return (await network.forwarder.stats()).sourceAddressFallbacks;
}

describe.skipIf(isMissing(iproute2, 'the tests of clients’ addresses'))(
  'a client whose address family differs from the target’s',
  () => {
    beforeAll(async () => {
      network = await Network.start();
      for (const address of ['0.0.0.0', '::']) {
        await network.container.tcp({ kind: 'whoami' }, { address, port: 8080 });
      }
    });
    afterEach(() => network.removeAll());
    afterAll(() => network.stop());

    test('is seen by a server at the target’s interface, and the session has that address', async () => {
      const before = await fallbacks();
      const [v4, v6] = [await forward(8080), await forward(8080, at.container6)];
      expect(await seenBy(at.host6, v4.port)).toBe(at.client6);
      expect(await seenBy(at.host, v6.port)).toBe(at.client);
      expect(await seenBy(at.host, v4.port)).toBe(at.client);
      await network.client.tcpOpen({ id: 'held', address: at.host6, port: v4.port });
      const [session] = await network.forwarder.sessions();
      expect(session?.target).toEqual({ address: at.container6, port: 8080 });
      expect(session?.source).toEqual(session?.client);
      await network.client.tcpEnd('held');
      expect(await fallbacks()).toBe(before);
    });

    test('reaches a server that listens only at the target', async () => {
      const before = await fallbacks();
      await network.container.tcp({ kind: 'whoami' }, { address: at.container, port: 8081 });
      const { port } = await forward(8081);
      expect(await seenBy(at.host6, port)).toBe(at.container);
      expect(await fallbacks()).toBe(before + 1);
    });

    test('is seen at the address that the interface has after a change', async () => {
      const { id, port } = await forward(8080);
      expect(await seenBy(at.host6, port)).toBe(at.client6);
      await network.ip(
        network.container,
        'address add fd88::9/64 dev eth0 nodad',
        `address delete ${at.container6}/64 dev eth0`,
        '-6 route replace default via fd88::1',
      );
      await network.forwarder.retarget({ id, address: at.container });
      expect(await seenBy(at.host6, port)).toBe(at.client6);
      await network.ip(
        network.container,
        `address add ${at.container6}/64 dev eth0 nodad`,
        'address delete fd88::9/64 dev eth0',
      );
    });
  },
);
