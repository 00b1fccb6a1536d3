import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { Program } from '../helpers/program.js';
import { iproute2, isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';

// The host is a namespace too: its veth pair leads to a client in a third one.
const HOST_ADDRESSES = ['10.7.8.1', '10.7.8.2', 'fd00:7:8::1', 'fd00:7:8::2'];
const ONE_FAMILY = { address: '0.0.0.0', port: 0 };
const BOTH_FAMILIES = { port: 0 };
const CLIENT_ADDRESSES = ['10.7.8.9', 'fd00:7:8::9'];

describe.skipIf(isMissing(iproute2, 'UDP over a veth pair'))(
  'a UDP forward over a veth pair',
  () => {
    let container: Container;
    let client: Container;
    let host: Program;

    const onHost = async (...lines: string[]): Promise<void> => {
      for (const line of lines) await host.api<ForwarderApi>().run({ command: line.split(' ') });
    };

    /**
     * A second link between both, and 192.0.2.5 behind the client, to which the first one leads.
     */
    async function addSecondLink(): Promise<void> {
      await onHost(
        `ip link add way-in type veth peer name way-out netns ${client.pid}`,
        'ip address add 10.7.9.1/24 dev way-in',
        'ip address add 10.7.9.2/24 dev way-in',
        'ip link set way-in up',
        'ip route add 192.0.2.5 via 10.7.8.9',
      );
      for (const line of [
        'ip address add 192.0.2.5/32 dev lo',
        'ip address add 10.7.9.9/24 dev way-out',
        'ip link set way-out up',
      ]) {
        await client.run(...line.split(' '));
      }
      const loose = 'for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $each; done';
      await host.api<ForwarderApi>().run({ command: ['sh', '-c', loose] });
      await client.run('sh', '-c', loose);
      // Or the client would answer for 192.0.2.5 as its neighbor does.
      for (const link of ['to-host', 'way-out']) {
        const folder = `/proc/sys/net/ipv4/conf/${link}`;
        await client.run('sh', '-c', `cd ${folder}; echo 1 > arp_ignore; echo 2 > arp_announce`);
      }
    }

    /** What there is once a client's question has reached the server. */
    interface Flow {
      readonly service: Awaited<ReturnType<Container['udp']>>;
      readonly asker: Awaited<ReturnType<Container['udp']>>;
      readonly port: number;
      readonly round: number;
    }

    /** Has a flow from one address to another, by a forward of one family and by one of both. */
    async function inFlows(
      from: string,
      to: string,
      act: (flow: Flow) => Promise<void>,
    ): Promise<void> {
      const service = await container.udp();
      const api = host.api<ForwarderApi>();
      await api.create({ netns: container.netns });
      for (const [round, where] of [ONE_FAMILY, BOTH_FAMILIES].entries()) {
        const { host: at } = await api.add({
          protocol: 'udp',
          host: where,
          container: { port: service.port },
        });
        const asker = await client.udp({ address: from });
        await asker.send('hello', { address: to, port: at.port });
        await service.seenCount(round + 1);
        await act({ service, asker, port: at.port, round });
        await asker.close();
      }
      await api.close({});
    }

    beforeAll(async () => {
      host = new Program(new URL('../helpers/forwarder-program.ts', import.meta.url), {
        ownNetns: true,
      });
      [container, client] = await Promise.all([Container.start(), Container.start()]);
      await onHost(
        `ip link add to-client type veth peer name to-host netns ${client.pid}`,
        ...HOST_ADDRESSES.map(
          (address) => `ip address add ${withPrefix(address).join(' ')} dev to-client`,
        ),
        'ip link set to-client up',
      );
      for (const address of CLIENT_ADDRESSES) {
        await client.run('ip', 'address', 'add', ...withPrefix(address), 'dev', 'to-host');
      }
      await client.run('ip', 'link', 'set', 'to-host', 'up');
      await addSecondLink();
    });
    afterAll(() => Promise.all([host.stop(), client.stop(), container.stop()]));

    test('replies from the address that the client sent to, of several in both families', async () => {
      const service = await container.udp({ echo: true });
      const api = host.api<ForwarderApi>();
      await api.create({ netns: container.netns });
      const forward = await api.add({
        protocol: 'udp',
        host: { port: 0 },
        container: { port: service.port },
      });
      for (const to of HOST_ADDRESSES) {
        const from = CLIENT_ADDRESSES[to.includes(':') ? 1 : 0] ?? '';
        const answer = await client.askUdp({ from, to, port: forward.host.port });
        expect(answer).toEqual({ address: to, port: forward.host.port, bytes: 14 });
      }
      await api.close({});
    });

    // 192.0.2.5 is behind the client, and the client's second link is a way in only.
    test('replies by the routing table, whatever interface the request came in by', async () => {
      const service = await container.udp({ echo: true });
      const api = host.api<ForwarderApi>();
      await api.create({ netns: container.netns });
      for (const where of [ONE_FAMILY, BOTH_FAMILIES]) {
        const { host: at } = await api.add({
          protocol: 'udp',
          host: where,
          container: { port: service.port },
        });
        const answer = await client.askUdp({ from: '192.0.2.5', to: '10.7.9.1', port: at.port });
        expect(answer).toEqual({ address: '10.7.9.1', port: at.port, bytes: 14 });
      }
      await api.close({});
    });

    test('replies from the address that the client sent to again once the host has it back', () =>
      inFlows('10.7.8.9', '10.7.8.2', async ({ asker, service, port }) => {
        const change = (verb: string) => onHost(`ip address ${verb} 10.7.8.2/24 dev to-client`);
        await change('del');
        await service.reply('from another');
        await asker.seenCount(1);
        await change('add');
        await service.reply('from the same');
        const from = (await asker.seenCount(2)).map((seen) => seen.from);
        expect(from).toEqual([`10.7.8.1 ${port}`, `10.7.8.2 ${port}`]);
      }));

    test('follows the routing table if it changes during a flow', () =>
      inFlows('192.0.2.5', '10.7.8.1', async ({ asker, service, port }) => {
        await service.reply('by the first link');
        await asker.seenCount(1);
        await onHost('ip route replace 192.0.2.5 via 10.7.9.9');
        await service.reply('by the second');
        const from = (await asker.seenCount(2)).map((seen) => seen.from);
        expect(from).toEqual([`10.7.8.1 ${port}`, `10.7.8.1 ${port}`]);
        await onHost('ip route replace 192.0.2.5 via 10.7.8.9');
      }));

    test('replies from the address that the client sent to again once the link is back', () =>
      inFlows('10.7.9.9', '10.7.9.2', async ({ asker, service, port, round }) => {
        await onHost('ip link set way-in down');
        await service.reply('lost');
        await until(
          async () => (await host.api<ForwarderApi>().stats()).datagramsDropped === round + 1,
          'a reply that has no way',
        );
        await onHost('ip link set way-in up');
        await service.reply('from the same');
        const from = (await asker.seenCount(1)).map((seen) => seen.from);
        expect(from).toEqual([`10.7.9.2 ${port}`]);
      }));

    test('continues if the path takes only smaller packets, and drops what must not be fragmented', async () => {
      const service = await container.udp({ echo: true });
      const api = host.api<ForwarderApi>();
      await api.create({ netns: container.netns });
      const forward = await api.add({
        protocol: 'udp',
        host: { address: '10.7.8.1', port: 0 },
        container: { port: service.port },
      });
      const ask = (bytes: number) =>
        client.askUdp({ from: '10.7.8.9', to: '10.7.8.1', port: forward.host.port, bytes });
      expect((await ask(20_000)).bytes).toBe(20_000);
      await container.run('ip', 'link', 'set', 'lo', 'mtu', '1000');
      try {
        expect((await ask(1_400)).bytes).toBe(1_400);
        expect((await ask(10)).bytes).toBe(10);
        await client.floodUdp({
          from: '10.7.8.9',
          to: '10.7.8.1',
          port: forward.host.port,
          bytes: 1_400,
          count: 200,
        });
        await until(async () => {
          const { datagramsToContainer, datagramsDropped, datagramsLostInKernel } =
            await api.stats();
          return datagramsToContainer + datagramsDropped + datagramsLostInKernel === 203;
        }, 'all are sent on or counted');
        expect((await ask(10)).bytes).toBe(10);
      } finally {
        await container.run('ip', 'link', 'set', 'lo', 'mtu', '65536');
        await api.close({});
      }
    });
  },
);

function withPrefix(address: string): string[] {
  return address.includes(':') ? [`${address}/64`, 'nodad'] : [`${address}/24`];
}
