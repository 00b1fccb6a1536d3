import { describe, expect, test } from 'vitest';
import { Forwarder, type Forward } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { Program } from '../helpers/program.js';
import { askTcp, connectTcp, endingOf, nextText } from '../helpers/tcp-client.js';
import { iproute2, isMissing } from '../helpers/tools.js';
import { useContainer } from '../helpers/use-container.js';
import { staysTrueFor, until } from '../helpers/wait.js';

// Nothing else lives in the container's namespace, so any port is free.
const PORT = 80;
// Ten attempts, each a little later than the one before: about 225 ms in all.
const RETRY_MS = { least: 200, most: 1_500 };

const source = new URL('../helpers/forwarder-program.ts', import.meta.url);

const fixture = useContainer();

function toContainer(port: number, address = '127.0.0.1') {
  return { host: { address: '127.0.0.1', port: 0 }, container: { address, port } };
}

async function msUntilReset({ host }: Forward): Promise<number> {
  const socket = await connectTcp(host);
  const start = performance.now();
  expect(await endingOf(socket)).toEqual({ ended: false, errorCode: 'ECONNRESET' });
  return performance.now() - start;
}

describe('a TCP connection to the container', () => {
  test('waits for a server that is late by 100 ms', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toContainer(PORT));
    const asked = askTcp(host, 'anybody there?');
    await until(() => forwarder.stats().sessionsOpen === 1, 'the session begins');
    const isWaiting = () => forwarder.stats().sessionsOpen === 1;
    await staysTrueFor(100, isWaiting, 'the client waits');
    const server = await fixture.container.tcp({ kind: 'echo' }, { port: PORT });
    expect(await asked).toBe('anybody there?');
    expect(forwarder.stats()).toMatchObject({ connectFailures: 0, sessionsTotal: 1 });
    expect(forwarder.stats().connectRetries).toBeGreaterThan(0);
    await server.close();
  });

  test('resets the client after about 225 ms if no server listens', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const ms = await msUntilReset(await forwarder.add(toContainer(PORT)));
    expect(ms).toBeGreaterThan(RETRY_MS.least);
    expect(ms).toBeLessThan(RETRY_MS.most);
    const failed = { connectFailures: 1, connectTimeouts: 0, connectError: 'ECONNREFUSED' };
    expect(forwarder.stats()).toMatchObject(failed);
  });

  test('resets the client after about 225 ms if there is no route to the address', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const ms = await msUntilReset(await forwarder.add(toContainer(PORT, '10.1.2.3')));
    expect(ms).toBeGreaterThan(RETRY_MS.least);
    expect(ms).toBeLessThan(RETRY_MS.most);
    const { connectFailures, connectError } = forwarder.stats();
    expect({ connectFailures, connectError }).toEqual({
      connectFailures: 1,
      connectError: 'ENETUNREACH',
    });
  });

  test('does not delay others while its server does not listen', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns, workers: 1 });
    const dead = await forwarder.add(toContainer(PORT));
    const alive = await forwarder.add(toContainer(port));
    const resets = Array.from({ length: 50 }, () => msUntilReset(dead));
    const start = performance.now();
    expect(await askTcp(alive.host, 'still here')).toBe('still here');
    expect(performance.now() - start).toBeLessThan(RETRY_MS.least);
    await Promise.all(resets);
  });

  test('is given up if the client leaves before the server listens', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toContainer(PORT));
    const socket = await connectTcp(host);
    await until(() => forwarder.stats().sessionsOpen === 1, 'the session begins');
    socket.resetAndDestroy();
    await until(() => forwarder.stats().sessionsOpen === 0, 'the session ends');
  });

  test('delivers a client’s data and FIN that came before the server listened', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(toContainer(PORT));
    const socket = await connectTcp(host);
    socket.end('early');
    await until(() => forwarder.stats().connectRetries > 0, 'an attempt has failed');
    const server = await fixture.container.tcp({ kind: 'echo' }, { port: PORT });
    expect(await nextText(socket)).toBe('early');
    expect(await endingOf(socket)).toEqual({ ended: true });
    await server.close();
  });
});

describe('a TCP forward without descriptors', () => {
  test('pauses its listener, and then serves every client that waited', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using program = new Program(source, { maxOpenFiles: 64 });
    const api = program.api<ForwarderApi>();
    await api.create({ netns: fixture.container.netns, workers: 1 });
    const { host } = await api.add(toContainer(port));
    const clients = await Promise.all(Array.from({ length: 60 }, () => connectTcp(host)));
    await until(async () => (await api.stats()).acceptPauses > 0, 'the listener pauses');
    const answers = clients.map(async (socket, index) => {
      socket.end(`client ${index}`);
      const answer = await nextText(socket);
      await endingOf(socket);
      return answer;
    });
    expect(await Promise.all(answers)).toEqual(clients.map((_, index) => `client ${index}`));
    expect(await askTcp(host, 'afterwards')).toBe('afterwards');
  });
});

describe.skipIf(isMissing(iproute2, 'connect timeout'))('the target of a TCP forward', () => {
  test('has its client reset after the connect timeout if it does not answer', async () => {
    await using silent = await Container.start();
    // Packets go to a neighbor that nobody is.
    for (const command of [
      'ip link add void type veth peer name beyond',
      'ip address add 10.1.2.1/24 dev void',
      'ip link set void up',
      'ip link set beyond up',
      'ip neighbor add 10.1.2.3 lladdr 02:00:00:00:00:99 dev void',
    ]) {
      await silent.run(...command.split(' '));
    }
    await using forwarder = new Forwarder({ netns: silent.netns });
    const forward = await forwarder.add({
      ...toContainer(PORT, '10.1.2.3'),
      connectTimeoutMs: 300,
    });
    const ms = await msUntilReset(forward);
    expect(ms).toBeGreaterThan(250);
    expect(ms).toBeLessThan(1_500);
    expect(forwarder.stats()).toMatchObject({ connectFailures: 1, connectTimeouts: 1 });
  });

  test('can be an address of the container outside its loopback', async () => {
    await using routed = await Container.start();
    await routed.run('ip', 'address', 'add', '10.1.2.1/32', 'dev', 'lo');
    const { port } = await routed.tcp({ kind: 'greet', text: 'routed' }, { address: '10.1.2.1' });
    await using forwarder = new Forwarder({ netns: routed.netns });
    const { host } = await forwarder.add(toContainer(port, '10.1.2.1'));
    expect(await askTcp(host)).toBe('routed');
    // CVE-2021-20199: a server must not take a stranger for its own loopback.
    const seen = await routed.tcp({ kind: 'echo' }, { address: '10.1.2.1', port: 0 });
    await forwarder
      .add(toContainer(seen.port, '10.1.2.1'))
      .then(({ host: other }) => askTcp(other, 'x'));
    const { from } = await seen.seenOnce(() => true, 'a connection');
    expect(from).toMatch(/^10\.1\.2\.1 /);
  });
});
