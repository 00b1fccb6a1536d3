import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder, type Forward } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { askTcp, connectTcp, endingOf, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';

const PORT = 80;
const RETARGETS = 200;
const CLIENTS = 8;

let first: Container;
let second: Container;

beforeAll(async () => {
  [first, second] = await Promise.all([Container.start(), Container.start()]);
  await Promise.all([
    first.tcp({ kind: 'greet', text: 'first' }, { port: PORT }),
    second.tcp({ kind: 'greet', text: 'second' }, { port: PORT }),
  ]);
});
afterAll(() => Promise.all([first.stop(), second.stop()]));

async function forwardToFirst(forwarder: Forwarder, port = PORT): Promise<Forward> {
  return forwarder.add({ host: { address: '127.0.0.1', port: 0 }, container: { port } });
}

describe('retarget of a TCP forward', () => {
  test('applies to the next connection', async () => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const { id, host } = await forwardToFirst(forwarder);
    expect(await askTcp(host)).toBe('first');
    await forwarder.retarget(id, { netns: second.netns });
    expect(await askTcp(host)).toBe('second');
    expect(forwarder.get(id)?.netnsPath).toBe(`/proc/${second.pid}/ns/net`);
    const other = await second.tcp({ kind: 'greet', text: 'six' }, { address: '::1' });
    await forwarder.retarget(id, { address: '::1', port: other.port });
    expect(await askTcp(host)).toBe('six');
    expect(forwarder.get(id)?.container).toEqual({ address: '::1', port: other.port });
  });

  test('keeps live sessions at the target they have', async () => {
    const { port } = await first.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: first.netns });
    const { id, host } = await forwardToFirst(forwarder, port);
    const live = await connectTcp(host);
    live.write('before');
    expect(await nextText(live)).toBe('before');
    await forwarder.retarget(id, { netns: second.netns, port: PORT });
    expect(await askTcp(host)).toBe('second');
    live.end('after');
    expect(await nextText(live)).toBe('after');
    expect(await endingOf(live)).toEqual({ ended: true });
  });

  test(
    `rejects and cuts no connection, ${RETARGETS} times in a row under load`,
    { timeout: 60_000 },
    async () => {
      const echo = await first.tcp({ kind: 'echo' });
      await using forwarder = new Forwarder({ netns: first.netns });
      const { id, host } = await forwardToFirst(forwarder, echo.port);
      const live = await connectTcp(host);
      live.write('before');
      await nextText(live);
      await forwarder.retarget(id, { port: PORT });
      let done = false;
      const answers = { first: 0, second: 0 };
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (!done) answers[(await askTcp(host)) as 'first' | 'second'] += 1;
      });
      for (let i = 0; i < RETARGETS; i += 1) {
        const before = answers.first + answers.second;
        await forwarder.retarget(id, { netns: (i % 2 === 0 ? second : first).netns });
        await until(() => answers.first + answers.second > before, 'another client is served');
      }
      done = true;
      await Promise.all(clients);
      expect(Object.keys(answers)).toEqual(['first', 'second']);
      expect(Math.min(answers.first, answers.second)).toBeGreaterThan(RETARGETS / 10);
      live.end('after');
      expect(await nextText(live)).toBe('after');
      const { connectFailures, sessionsReset } = forwarder.stats();
      expect({ connectFailures, sessionsReset }).toEqual({ connectFailures: 0, sessionsReset: 0 });
    },
  );

  test('changes nothing if the new namespace does not exist', async () => {
    await using forwarder = new Forwarder({ netns: first.netns });
    const { id, host } = await forwardToFirst(forwarder);
    await expect(forwarder.retarget(id, { netns: { path: '/no/such/namespace' } })).rejects.toThrow(
      '/no/such/namespace',
    );
    expect(await askTcp(host)).toBe('first');
    expect(forwarder.get(id)?.netnsPath).toBe(`/proc/${first.pid}/ns/net`);
  });
});

describe('retarget of a UDP forward', () => {
  test('applies to the next datagram, also of a client that has a flow', async () => {
    const [one, two] = await Promise.all([
      first.udp({ port: PORT, echo: true }),
      second.udp({ port: PORT, echo: true }),
    ]);
    await using forwarder = new Forwarder({ netns: first.netns });
    const { id, host } = await forwarder.add({
      protocol: 'udp',
      host: { address: '127.0.0.1', port: 0 },
      container: { port: PORT },
    });
    using client = await UdpSocket.bind();
    await client.ask('to the first', host.port);
    await forwarder.retarget(id, { netns: second.netns });
    await client.ask('to the second', host.port);
    expect([(await one.seen()).length, (await two.seen()).length]).toEqual([1, 1]);
  });
});
