import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { at, Network } from '../helpers/network.js';
import type { Program } from '../helpers/program.js';
import { iproute2, isMissing, setpriv } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';

let network: Network;

/** A forwarder process on the host with one transparent forward; the host's port. */
async function start(program = network.startForwarder()): Promise<{
  program: Program;
  api: ReturnType<typeof program.api<ForwarderApi>>;
  port: number;
}> {
  const api = program.api<ForwarderApi>();
  await api.create({ netns: network.container.netns });
  const { host } = await api.add({
    host: { port: 0 },
    container: { address: at.container, port: 8080 },
    sourceAddress: 'transparent',
  });
  return { program, api, port: host.port };
}

let lastClient = 0;

/** The address that the server sees of a client, whose connection stays open. */
async function seenAt(port: number, localAddress: string = at.client): Promise<string> {
  const id = `client ${(lastClient += 1)}`;
  const where = { id, address: at.host, port, localAddress };
  return (await network.client.tcpOpen(where)).split(' ')[0] ?? '';
}

async function expectNoTraces(): Promise<void> {
  await until(async () => (await network.traces()).length === 0, 'routes and rules are gone');
}

describe.skipIf(isMissing(iproute2, 'the tests of clients’ addresses'))('routes and rules', () => {
  beforeAll(async () => {
    network = await Network.start();
    await network.container.tcp({ kind: 'whoami' }, { address: '0.0.0.0', port: 8080 });
  });
  afterAll(() => network.stop());

  test('exist while a client does, and are gone a moment later', async () => {
    const { program, port } = await start();
    expect(await network.traces()).toEqual([]);
    await network.client.tcpOpen({ id: 'only', address: at.host, port });
    expect((await network.traces()).join('\n')).toMatch(
      /sport 8080[^]*local 192\.0\.2\.2 .* src 10\.88\.0\.2/,
    );
    await network.client.tcpEnd('only');
    await expectNoTraces();
    await program.stop();
  });

  test('are gone after close', async () => {
    const { program, api, port } = await start();
    expect(await seenAt(port)).toBe(at.client);
    expect(await network.traces()).not.toEqual([]);
    await api.close({});
    expect(await network.traces()).toEqual([]);
    await program.stop();
  });

  test('are gone when the process has exited', async () => {
    const { program, port } = await start();
    expect(await seenAt(port)).toBe(at.client);
    await program.stop();
    expect(await network.traces()).toEqual([]);
  });

  test('of a killed forwarder are removed by the next that starts', async () => {
    const { program, port } = await start();
    expect(await seenAt(port)).toBe(at.client);
    program.kill('SIGKILL');
    await program.exited;
    expect(await network.traces()).not.toEqual([]);
    const next = await start();
    expect(await network.traces()).toEqual([]);
    expect(await seenAt(next.port)).toBe(at.client);
    await next.program.stop();
    expect(await network.traces()).toEqual([]);
  });

  test('of one forwarder are kept by others that start, serve, exit and are killed', async () => {
    const [one, other] = [await start(), await start()];
    expect(await seenAt(one.port)).toBe(at.client);
    const own = await network.traces();
    expect(await seenAt(other.port)).toBe(at.client);
    expect(await seenAt(other.port, at.otherClient)).toBe(at.otherClient);
    other.program.kill('SIGKILL');
    await other.program.exited;
    const next = await start();
    expect(await network.traces()).toEqual(own);
    expect(await seenAt(next.port, at.otherClient)).toBe(at.otherClient);
    expect(await seenAt(one.port)).toBe(at.client);
    await next.program.stop();
    expect(await seenAt(one.port)).toBe(at.client);
    await one.program.stop();
    expect(await network.traces()).toEqual([]);
  });

  test('of two forwarders serve one client to one port at the same time', async () => {
    const [one, other] = [await start(), await start()];
    expect(await seenAt(one.port)).toBe(at.client);
    expect(await seenAt(other.port)).toBe(at.client);
    await one.program.stop();
    expect(await seenAt(other.port)).toBe(at.client);
    await other.program.stop();
  });
});

describe.skipIf(
  isMissing(iproute2, 'the tests of clients’ addresses') ||
    isMissing(setpriv, 'the tests of clients’ addresses without the right to show them'),
)('a transparent forward without CAP_NET_ADMIN', () => {
  test('warns once, in words and in the list, and serves clients', async () => {
    await using network = await Network.start();
    await network.container.tcp({ kind: 'whoami' }, { address: '0.0.0.0', port: 8080 });
    const program = network.startForwarder({ without: ['net_admin', 'net_raw'] });
    const api = program.api<ForwarderApi>();
    await api.create({ netns: network.container.netns });
    const add = () =>
      api.add({
        host: { port: 0 },
        container: { address: at.container, port: 8080 },
        sourceAddress: 'transparent',
      });
    const [forward, second] = [await add(), await add()];
    expect(forward.warning).toMatch(/^Servers do not see .* EPERM: .* CAP_NET_ADMIN/);
    expect((await api.list()).map(({ warning }) => warning)).toEqual([
      forward.warning,
      second.warning,
    ]);
    const said = await network.client.tcpOpen({
      id: 'client',
      address: at.host,
      port: forward.host.port,
    });
    expect(said.split(' ')[0]).toBe(at.container);
    expect((await api.stats()).sourceAddressFallbacks).toBe(1);
    await program.stop();
    expect(program.stderr.match(/SpliceportWarning/g)).toHaveLength(1);
  });
});
