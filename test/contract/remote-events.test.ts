// The events that come by themselves, of forwards whose engine is in a shim.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import type { ForwarderOperations } from '../../src/operations.js';
import { RemoteForwarder } from '../../src/remote/remote-forwarder.js';
import { Container, type TcpService } from '../helpers/container.js';
import { describeFds } from '../helpers/process-facts.js';
import { RealShim } from '../helpers/real-shim.js';
import { askTcp, connectTcp, endingOf } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';

let container: Container;
let server: TcpService;
let deadPort: number;
beforeAll(async () => {
  container = await Container.start();
  server = await container.tcp({ kind: 'greet', text: 'hello' });
  const dead = await container.tcp({ kind: 'greet', text: '' });
  deadPort = dead.port;
  await dead.close();
});
afterAll(() => container.stop());

const to = (port: number) => ({ host: { address: '127.0.0.1', port: 0 }, container: { port } });

const pidfds = (): number => describeFds().filter((each) => each.includes('pidfd')).length;

/** Notes what is told; a text for each event. */
function hear(forwarder: ForwarderOperations): string[] {
  const heard: string[] = [];
  forwarder.on('failed', ({ id }, { ending, error }) => {
    heard.push(`failed ${id} ${ending} ${error}`);
  });
  forwarder.on('exited', ({ id }, pid) => void heard.push(`exited ${id} ${pid}`));
  return heard;
}

/** What is told when clients cannot be connected, one can, and they cannot again. */
async function failures(forwarder: ForwarderOperations): Promise<string[]> {
  const heard = hear(forwarder);
  const { id, host } = await forwarder.add(to(deadPort));
  const fail = async () => endingOf(await connectTcp(host));
  for (let client = 0; client < 3; client++) await fail();
  await until(() => heard.length === 1, 'the first failure');
  await forwarder.retarget(id, { port: server.port });
  expect(await askTcp(host)).toBe('hello');
  await forwarder.retarget(id, { port: deadPort });
  await fail();
  await until(() => heard.length === 2, 'the next failure');
  return heard;
}

test('failures are told of as by a forwarder whose engine is in this process', async () => {
  await using local = new Forwarder({ netns: container.netns });
  const told = await failures(local);
  expect(told).toEqual(Array(2).fill('failed 1 connect-failed ECONNREFUSED'));
  await using real = await RealShim.start();
  expect(await failures(new RemoteForwarder(real.shim, { netns: container.netns }))).toEqual(told);
});

test('failures are told of by a forwarder that has taken over the forwards of another', async () => {
  await using real = await RealShim.start();
  const first = new RemoteForwarder(real.shim, { netns: container.netns });
  const { host } = await first.add(to(deadPort));
  const heard = hear(new RemoteForwarder(await real.meetAgain(), { netns: container.netns }));
  await endingOf(await connectTcp(host));
  await until(() => heard.length === 1, 'the failure');
  expect(heard).toEqual(['failed 1 connect-failed ECONNREFUSED']);
});

test('the exit of a process that names a namespace is told of, to those who listen', async () => {
  await using real = await RealShim.start();
  const ending = await Container.start();
  const { netns, pid } = ending;
  const first = new RemoteForwarder(real.shim, { netns });
  await first.addAll([to(1), { ...to(2), netns: container.netns }]);
  const forwarder = new RemoteForwarder(await real.meetAgain(), { netns });
  expect(pidfds()).toBe(0);
  const heard = hear(forwarder);
  // One of each process.
  expect(pidfds()).toBe(2);
  await forwarder.add(to(3));
  await ending.stop();
  await until(() => heard.length === 2, 'the exit');
  expect(heard.sort()).toEqual([`exited 1 ${pid}`, `exited 3 ${pid}`]);
  expect(pidfds()).toBe(1);
  real.signal('SIGKILL');
  await until(() => forwarder.closed, 'the end of the shim');
  expect(pidfds()).toBe(0);
});
