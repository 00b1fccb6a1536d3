// Events that no call causes: the first failure of a forward, and the exit of a container's
// process.

import { beforeAll, describe, expect, test } from 'vitest';
import { Engine, Forwarder, type Forward } from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, endingOf } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const fixture = useContainer();
let port: number;
let deadPort: number;

beforeAll(async () => {
  ({ port } = await fixture.container.tcp({ kind: 'echo' }));
  const dead = await fixture.container.tcp({ kind: 'echo' });
  await dead.close();
  deadPort = dead.port;
});

const to = (containerPort: number) => ({
  host: { address: '127.0.0.1', port: 0 },
  container: { port: containerPort },
});

/** A client that cannot be connected. */
async function fail({ host }: Forward): Promise<void> {
  await endingOf(await connectTcp(host));
}

describe('the event "failed"', () => {
  /** What a forwarder says of failures. */
  function hear(forwarder: Forwarder): string[] {
    const heard: string[] = [];
    forwarder.on('failed', ({ id }, { ending, error }) => {
      heard.push(`${id} ${ending} ${error}`);
    });
    return heard;
  }

  test('comes for the first client that is not connected, and for no further ones', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    const first = await forwarder.add(to(deadPort));
    const second = await forwarder.add(to(deadPort));
    for (let client = 0; client < 3; client++) await fail(first);
    await fail(second);
    await until(() => heard.length >= 2, 'both failures');
    expect(heard).toEqual(['1 connect-failed ECONNREFUSED', '2 connect-failed ECONNREFUSED']);
  });

  test('comes again after a client was connected, and after a retarget', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    const server = await fixture.container.tcp({ kind: 'echo' });
    const forward = await forwarder.add(to(server.port));
    await server.close();
    await fail(forward);
    await until(() => heard.length === 1, 'the first failure');
    const again = await fixture.container.tcp({ kind: 'echo' }, { port: server.port });
    expect(await askTcp(forward.host, 'served')).toBe('served');
    await again.close();
    await fail(forward);
    await until(() => heard.length === 2, 'the failure after a client was connected');
    await forwarder.retarget(1, { port: deadPort });
    await fail(forward);
    await until(() => heard.length === 3, 'the failure after a retarget');
    await fail(forward);
    await askTcp((await forwarder.add(to(port))).host, 'later');
    expect(heard).toHaveLength(3);
  });

  test('names the timeout', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    await fail(await forwarder.add({ ...to(deadPort), connectTimeoutMs: 1 }));
    await until(() => heard.length === 1, 'the failure');
    expect(heard[0]).toMatch(/^1 connect-timeout/);
  });

  test('reaches the forwarder whose forward it is, of those that share an engine', async () => {
    await using engine = new Engine();
    const one = hear(new Forwarder({ engine, netns: fixture.container.netns }));
    const failing = new Forwarder({ engine, netns: fixture.container.netns });
    const other = hear(failing);
    await fail(await failing.add(to(deadPort)));
    await until(() => other.length === 1, 'the failure');
    expect(one).toEqual([]);
  });
});

describe('the event "exited"', () => {
  function hear(forwarder: Forwarder): string[] {
    const heard: string[] = [];
    forwarder.on('exited', ({ id }, pid) => void heard.push(`${id} ${pid}`));
    return heard;
  }

  test('comes for every forward whose namespace is named by the pid, and for no other', async () => {
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const heard = hear(forwarder);
    const ending = await Container.start();
    const { pid } = ending;
    await forwarder.add(to(port));
    await forwarder.add({ ...to(port), netns: { pid } });
    await forwarder.add({ ...to(port), netns: { path: `/proc/${pid}/ns/net` } });
    await forwarder.add({ ...to(port), netns: { pid } });
    await forwarder.add({ ...to(port), netns: { pid } });
    await forwarder.remove(4);
    await forwarder.retarget(5, { netns: fixture.container.netns });
    await forwarder.retarget(1, { netns: { pid } });
    await ending.stop();
    await until(() => heard.length >= 3, 'the exit');
    expect(heard.sort()).toEqual([1, 2, 3].map((id) => `${id} ${pid}`));
    expect(forwarder.list()).toHaveLength(4);
  });

  test('costs a descriptor for each process while forwards lead there', async () => {
    const ending = await Container.start();
    await using other = await Container.start();
    await using forwarder = new Forwarder();
    // What the first forward takes besides.
    await forwarder.add({ ...to(port), netns: 'own' });
    const before = openFds();
    const twice = { ...to(port), netns: ending.netns };
    const { id: first } = await forwarder.add(twice);
    const one = openFds() - before;
    const { id: second } = await forwarder.add(twice);
    // A host socket alone.
    expect(openFds() - before).toBe(one + 1);
    const { id: third } = await forwarder.add({ ...to(port), netns: other.netns });
    const heard = hear(forwarder);
    await ending.stop();
    await until(() => heard.length === 2, 'the exit');
    await forwarder.remove([first, second, third]);
    await until(() => openFds() <= before, 'every descriptor is closed');
  });
});
