// A resident that ends before it has an answer: what it has asked for is carried out or not, and
// the next resident knows which.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { RemoteForwarder } from '../../src/remote/remote-forwarder.js';
import { Container, type TcpService } from '../helpers/container.js';
import { describeFds } from '../helpers/process-facts.js';
import { RealShim } from '../helpers/real-shim.js';
import { askTcp, isRefused } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';

let container: Container;
let server: TcpService;
let other: TcpService;
beforeAll(async () => {
  container = await Container.start();
  server = await container.tcp({ kind: 'greet', text: 'hello' });
  other = await container.tcp({ kind: 'greet', text: 'other' });
});
afterAll(() => container.stop());

const to = (port: number, hostPort = 0) => ({
  host: { address: '127.0.0.1', port: hostPort },
  container: { port },
});

/** A forward, of which something is asked that is not answered; what the next resident has then. */
async function interrupted(
  real: RealShim,
  work: (first: RemoteForwarder) => Promise<unknown>,
): Promise<RemoteForwarder> {
  const { netns } = container;
  const first = new RemoteForwarder(real.shim, { netns });
  await first.add(to(server.port));
  const shim = await real.meetAgain({}, async () => {
    const asked = vi.spyOn(real.shim, 'request');
    const outcome = work(first);
    outcome.catch(() => undefined);
    await until(() => asked.mock.calls.length === 1, 'a request');
  });
  return new RemoteForwarder(shim, { netns });
}

const sockets = (pid: number) => describeFds(pid).filter((each) => each.startsWith('socket:'));

test('a forward that was to be added is not there, and neither is its port', async () => {
  await using real = await RealShim.start();
  const forwarder = await interrupted(real, (first) => first.add(to(other.port)));
  const before = sockets(real.pid);
  expect(forwarder.list().map(({ id }) => id)).toEqual([1]);
  const added = await forwarder.add(to(other.port));
  expect(sockets(real.pid)).toHaveLength(before.length + 1);
  expect(await askTcp(added.host)).toBe('other');
  expect(await askTcp(forwarder.get(1)?.host ?? { port: 0 })).toBe('hello');
});

test('a namespace that was opened for it is closed', async () => {
  await using real = await RealShim.start();
  await using elsewhere = await Container.start();
  const { netns } = elsewhere;
  const namespaces = () => describeFds(real.pid).filter((each) => each.startsWith('net:'));
  const forwarder = await interrupted(real, (first) => first.add({ ...to(80), netns }));
  await until(() => namespaces().length === 1, 'the namespace is closed');
  expect(await askTcp(forwarder.get(1)?.host ?? { port: 0 })).toBe('hello');
});

test('a forward that was to be removed is gone', async () => {
  await using real = await RealShim.start();
  let host = { address: '', port: 0 };
  const forwarder = await interrupted(real, (first) => {
    host = first.get(1)?.host ?? host;
    return first.remove(1);
  });
  expect(forwarder.list()).toEqual([]);
  expect(await isRefused(host)).toBe(true);
  expect(await forwarder.add(to(server.port, host.port))).toMatchObject({ id: 2 });
  expect(await askTcp(host)).toBe('hello');
});

test('a forward that was to be retargeted has its new target', async () => {
  await using real = await RealShim.start();
  const forwarder = await interrupted(real, (first) => first.retarget(1, { port: other.port }));
  expect(forwarder.get(1)?.container.port).toBe(other.port);
  expect(await askTcp(forwarder.get(1)?.host ?? { port: 0 })).toBe('other');
});

test('a forward that was to get a target in another namespace has its old one', async () => {
  await using real = await RealShim.start();
  await using elsewhere = await Container.start();
  const { netns } = elsewhere;
  const forwarder = await interrupted(real, (first) => first.retarget(1, { netns }));
  expect(forwarder.get(1)?.netnsPath).toBe(`/proc/${container.pid}/ns/net`);
  expect(await askTcp(forwarder.get(1)?.host ?? { port: 0 })).toBe('hello');
});
