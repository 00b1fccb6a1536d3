import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder, type ForwardSpec } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { describeFds } from '../helpers/process-facts.js';
import { isRefused } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';

let container: Container;
beforeAll(async () => void (container = await Container.start()));
afterAll(() => container.stop());

const here = { pid: process.pid };
const circle = { code: 'ERR_SPLICEPORT_LEADS_TO_ITSELF' };

function to(port: number, spec: Partial<ForwardSpec> = {}): ForwardSpec {
  return { host: { address: '127.0.0.1', port: 0 }, container: { port }, ...spec };
}

/** Ports that nobody has, and that may be had for both protocols; the kernel's choice. */
async function freePorts(count: number): Promise<number[]> {
  await using forwarder = new Forwarder({ netns: here });
  const forwards = await forwarder.addAll(Array.from({ length: count }, () => to(9)));
  return forwards.map(({ host }) => host.port);
}

/** An address of this machine that is not its loopback, if it has one. */
const own = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

describe.each(['tcp', 'udp'] as const)('a forward that leads to itself by %s', (protocol) => {
  const hosts: [string | undefined, string, ForwardSpec['host']['address']][] = [
    ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['every address of both families', '127.0.0.1', undefined],
    ['every address of both families, by IPv6', '::1', undefined],
    ['every IPv4 address', own ?? '127.0.0.9', '0.0.0.0'],
    ['every IPv6 address', '::1', '::'],
    ['127.0.0.1, by no address in particular', '0.0.0.0', '127.0.0.1'],
  ];
  test.each(hosts)('is rejected at %s: %s', async (_what, target, address) => {
    const [port = 0] = await freePorts(1);
    await using forwarder = new Forwarder({ netns: here });
    const before = describeFds();
    const host = address === undefined ? { port } : { address, port };
    const spec = { protocol, host, container: { address: target, port } };
    await expect(forwarder.add(spec)).rejects.toMatchObject(circle);
    expect(describeFds()).toEqual(before);
    expect(await isRefused({ port })).toBe(true);
  });

  test('is rejected with others in between, whichever closes the circle', async () => {
    const [first = 0, second = 0, third = 0] = await freePorts(3);
    const specs = [
      [first, second],
      [second, third],
      [third, first],
    ].map(([from = 0, port = 0]) => to(port, { protocol, host: { port: from } }));
    await using together = new Forwarder({ netns: here });
    await expect(together.addAll(specs)).rejects.toMatchObject(circle);
    for (const spec of specs) {
      const rest = specs.filter((other) => other !== spec);
      await using forwarder = new Forwarder({ netns: here });
      const ids = (await forwarder.addAll(rest)).map(({ id }) => id);
      const forwardId = expect.toBeOneOf(ids) as number;
      await expect(forwarder.add(spec)).rejects.toMatchObject({ ...circle, forwardId });
    }
  });

  test('is rejected by retarget too, which then changes nothing', async () => {
    await using forwarder = new Forwarder({ netns: container.netns });
    const { id, host } = await forwarder.add(to(9, { protocol }));
    const before = [describeFds(), forwarder.list()];
    await expect(forwarder.retarget(id, { netns: here, port: host.port })).rejects.toMatchObject({
      ...circle,
      forwardId: id,
    });
    expect([describeFds(), forwarder.list()]).toEqual(before);
  });

  test('is not one to another address, protocol or namespace, or to a removed forward', async () => {
    const [port = 0] = await freePorts(1);
    const host = { address: '127.0.0.1', port };
    await using forwarder = new Forwarder({ netns: here });
    for (const spec of [
      { protocol, host, container: { address: '127.0.0.2', port } },
      { protocol, host, container: { port }, netns: container.netns },
      // A machine of that address is beyond this one.
      { protocol, host: { port }, container: { address: '192.0.2.1', port } },
    ]) {
      const { id } = await forwarder.add(spec);
      await forwarder.remove(id);
    }
    const other = protocol === 'tcp' ? 'udp' : 'tcp';
    const across = await forwarder.add(to(port, { protocol: other }));
    const { id } = await forwarder.add({ protocol, host, container: { port: across.host.port } });
    await forwarder.retarget(id, { netns: container.netns, port });
  });
});

test('a chain of forwards that ends at a server is served', async () => {
  using server = await UdpSocket.bind({ echo: true });
  using client = await UdpSocket.bind();
  await using forwarder = new Forwarder({ netns: here });
  const inner = await forwarder.add(to(server.port, { protocol: 'udp' }));
  const outer = await forwarder.add(to(inner.host.port, { protocol: 'udp' }));
  expect((await client.ask('through both', outer.host.port)).data.toString()).toBe('through both');
});
