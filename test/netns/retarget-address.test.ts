// A container that loses an address while it is served: what becomes of the sessions there at a
// retarget.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Forwarder, type EndedSession, type Forward } from '../../src/index.js';
import { Container, type TcpService } from '../helpers/container.js';
import { connectTcp, endingOf, nextText } from '../helpers/tcp-client.js';
import { iproute2, isMissing } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';

// In nets of their own: an address that goes takes the other addresses of its net along.
const LOST = '10.91.0.2';
const KEPT = '10.92.0.2';
const LOST6 = 'fd91::2';
// A neighbor of the container that says nothing.
const SILENT = '10.92.0.99';

const missing = isMissing(iproute2, 'an address that goes');

let container: Container;
let forwarder: Forwarder;
let told: EndedSession[];

beforeEach(async () => {
  if (missing) return;
  container = await Container.start();
  await ip('link add net0 type veth peer name net1', 'link set net0 up', 'link set net1 up');
  await ip(`address add ${LOST}/24 dev net0`, `address add ${KEPT}/24 dev net0`);
  await ip(`address add ${LOST6}/64 dev net0 nodad`);
  await ip(`neighbor add ${SILENT} lladdr 02:00:00:00:00:63 dev net0`);
  told = [];
  forwarder = new Forwarder({
    netns: container.netns,
    onSessionsEnded: (ended) => void told.push(...ended),
  });
});
afterEach(async () => {
  if (missing) return;
  await forwarder.close();
  await container.stop();
});

async function ip(...lines: string[]): Promise<void> {
  for (const line of lines) await container.run('ip', ...line.split(' '));
}

function forwardTo(address: string, port: number): Promise<Forward> {
  return forwarder.add({
    host: { address: '127.0.0.1', port: 0 },
    container: { address, port },
  });
}

/** Connects, and waits until the server has answered. */
async function served({ host }: Forward) {
  const client = await connectTcp(host);
  client.write('hello');
  expect(await nextText(client)).toBe('hello');
  return client;
}

describe.skipIf(missing).each([
  ['IPv4', LOST, `${LOST}/24`],
  ['IPv6', LOST6, `${LOST6}/64`],
])('a session at an address that the container loses, %s', (_family, lost, prefix) => {
  test('is reset at once by a retarget, and one at an address that stays continues', async () => {
    const [lostEcho, keptEcho] = await Promise.all([
      container.tcp({ kind: 'echo' }, { address: lost }),
      container.tcp({ kind: 'echo' }, { address: KEPT }),
    ]);
    const [lostForward, keptForward] = [
      await forwardTo(lost, lostEcho.port),
      await forwardTo(KEPT, keptEcho.port),
    ];
    const [cutOff, live] = [await served(lostForward), await served(keptForward)];
    await ip(`address delete ${prefix} dev net0`);
    await forwarder.retarget([lostForward.id, keptForward.id], {
      address: KEPT,
      port: keptEcho.port,
    });
    expect(await endingOf(cutOff, 1_000)).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    await until(() => told.length > 0, 'the end of a session');
    expect(told).toMatchObject([{ ending: 'address-gone', target: { address: lost } }]);
    live.end('goes on');
    expect(await nextText(live)).toBe('goes on');
    expect(await endingOf(live)).toEqual({ ended: true });
    (await served(lostForward)).destroy();
  });
});

test.skipIf(missing)(
  'a retarget resets every session at a lost address, however many, even if the target stays',
  async () => {
    const echo: TcpService = await container.tcp({ kind: 'echo' }, { address: LOST });
    const forward = await forwardTo(LOST, echo.port);
    const clients = await Promise.all(Array.from({ length: 600 }, () => served(forward)));
    await ip(`address delete ${LOST}/24 dev net0`);
    const endings = clients.map((client) => endingOf(client, 5_000));
    await forwarder.retarget(forward.id, {});
    for (const ending of await Promise.all(endings)) {
      expect(ending).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    }
    await until(() => told.length >= clients.length, 'the end of every session');
    expect(new Set(told.map(({ ending }) => ending))).toEqual(new Set(['address-gone']));
  },
);

test.skipIf(missing)(
  'a client that waits for a connection to the old target is served by the new one',
  async () => {
    const echo = await container.tcp({ kind: 'echo' }, { address: KEPT });
    const forward = await forwardTo(SILENT, echo.port);
    const client = await connectTcp(forward.host);
    client.write('hello');
    await until(
      () => forwarder.sessions().some(({ state }) => state === 'connecting'),
      'a session that connects',
    );
    await forwarder.retarget(forward.id, { address: KEPT });
    expect(await nextText(client)).toBe('hello');
    client.destroy();
    expect(forwarder.stats()).toMatchObject({ connectFailures: 0, connectRetries: 1 });
  },
);

test.skipIf(missing)('a UDP flow continues at the new address', async () => {
  const { port } = await container.udp({ address: '0.0.0.0', echo: true });
  const { id, host } = await forwarder.add({
    protocol: 'udp',
    host: { address: '127.0.0.1', port: 0 },
    container: { address: LOST, port },
  });
  using client = await UdpSocket.bind();
  await client.ask('before', host.port);
  await ip(`address delete ${LOST}/24 dev net0`);
  await forwarder.retarget(id, { address: KEPT });
  await client.ask('after', host.port);
  expect(forwarder.stats().datagramsDropped).toBe(0);
});
