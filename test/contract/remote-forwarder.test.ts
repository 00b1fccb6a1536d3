// Forwarder, and RemoteForwarder with a real shim, do the same and say the same of what fails.

import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Forwarder, type EndedSession } from '../../src/index.js';
import type { ForwarderOperations } from '../../src/operations.js';
import { RemoteForwarder } from '../../src/remote/remote-forwarder.js';
import { Container } from '../helpers/container.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { Program } from '../helpers/program.js';
import { RealShim } from '../helpers/real-shim.js';
import { askTcp, connectTcp, endingOf } from '../helpers/tcp-client.js';
import { isMissing, setpriv } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import {
  failing,
  outcomeOf,
  working,
  type Ground,
  type Scenario,
} from './helpers/forwarder-scenarios.js';

const program = new URL('../helpers/forwarder-program.ts', import.meta.url);

let container: Container;
let other: Container;
let occupant: Server;
let ground: Ground;

async function listen(): Promise<Server> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function freePorts(): Promise<[number, number]> {
  const servers = [await listen(), await listen()];
  const [first = 0, second = 0] = servers.map(portOf);
  for (const server of servers) server.close();
  return [first, second];
}

beforeAll(async () => {
  [container, other] = [await Container.start(), await Container.start()];
  occupant = await listen();
  const server = await container.tcp({ kind: 'greet', text: 'hello' });
  const echo = await container.tcp({ kind: 'echo' });
  const udp = await container.udp({ echo: true });
  const free = await freePorts();
  ground = { ...{ container, other, server, echo, udp, free }, taken: portOf(occupant) };
});

afterAll(async () => {
  occupant.close();
  await Promise.all([container.stop(), other.stop()]);
});

async function locally(scenario: Scenario) {
  await using forwarder = new Forwarder({ netns: container.netns });
  return await outcomeOf(() => scenario(forwarder, ground));
}

async function remotely(scenario: Scenario) {
  await using real = await RealShim.start();
  const forwarder = new RemoteForwarder(real.shim, { netns: container.netns });
  const outcome = await outcomeOf(() => scenario(forwarder, ground));
  await forwarder.close();
  return outcome;
}

describe('a forwarder whose engine is in a shim does what one in this process does:', () => {
  test.each(Object.entries(working))('%s', async (_, scenario) => {
    const outcome = await locally(scenario);
    expect(outcome).toHaveProperty('value');
    expect(await remotely(scenario)).toEqual(outcome);
  });
});

describe('a forwarder whose engine is in a shim says what one in this process says of', () => {
  test.each(Object.entries(failing))('%s', async (_, scenario) => {
    const outcome = await locally(scenario);
    expect(outcome).toHaveProperty('error');
    expect(await remotely(scenario)).toEqual(outcome);
  });
});

test('ends of sessions are told of as in this process', async () => {
  const endsOf = async (add: (ended: EndedSession[]) => ForwarderOperations) => {
    const ended: EndedSession[] = [];
    const forwarder = add(ended);
    const { host } = await forwarder.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: ground.server.port },
    });
    const { id } = await forwarder.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: ground.echo.port },
    });
    await askTcp(host);
    await until(() => ended.length === 1, 'an end');
    const client = await connectTcp(forwarder.get(id)?.host ?? host);
    await until(async () => (await forwarder.sessions()).length === 1, 'a session');
    const ending = endingOf(client);
    await forwarder.close();
    await ending;
    await until(() => ended.length === 2, 'the other end');
    return ended.map(({ durationMs, connectMs, client: { address }, ...session }) => ({
      ...{ ...session, address, hasDuration: durationMs > 0, hasConnect: (connectMs ?? 0) > 0 },
    }));
  };
  const netns = container.netns;
  const told = (ended: EndedSession[]) => (batch: readonly EndedSession[]) =>
    void ended.push(...batch);
  const local = await endsOf((ended) => new Forwarder({ netns, onSessionsEnded: told(ended) }));
  await using real = await RealShim.start();
  const remote = await endsOf(
    (ended) => new RemoteForwarder(real.shim, { netns, onSessionsEnded: told(ended) }),
  );
  expect(local).toHaveLength(2);
  expect(remote).toEqual(local);
});

describe.skipIf(isMissing(setpriv, 'the tests of forwarders without rights'))(
  'a forwarder whose engine is in a shim without rights',
  () => {
    const transparent = {
      host: { address: '127.0.0.1', port: 0 },
      ...{ container: { port: 80 }, sourceAddress: 'transparent' as const },
    };

    test('warns of servers that do not see their clients as one in this process does', async () => {
      const without = ['net_admin', 'net_raw'];
      await using local = new Program(program, { without });
      const api = local.api<ForwarderApi>();
      await api.create({ netns: container.netns });
      const { warning } = await api.add(transparent);
      expect(warning).toMatch(/^Servers do not see .* EPERM: .* CAP_NET_ADMIN/);
      await using real = await RealShim.start({}, without);
      const forwarder = new RemoteForwarder(real.shim, { netns: container.netns });
      const warnings: string[] = [];
      forwarder.on('warning', (_, message) => void warnings.push(message));
      await forwarder.addAll([{ ...transparent, count: 2 }, transparent]);
      expect(forwarder.list().map((forward) => forward.warning)).toEqual([
        ...[warning, warning, warning],
      ]);
      await forwarder.retarget(3, { netns: other.netns });
      expect(warnings).toHaveLength(4);
      expect(forwarder.get(3)?.warning).toBe(
        warning?.replace(String(container.pid), String(other.pid)),
      );
      const list = forwarder.list();
      const next = new RemoteForwarder(await real.meetAgain(), { netns: container.netns });
      await until(() => next.get(3)?.warning, 'the warning');
      expect(next.list()).toEqual(list);
    });

    test('says why it cannot enter a namespace as one in this process does', async () => {
      await using local = new Program(program, { without: ['sys_admin'] });
      const api = local.api<ForwarderApi>();
      await api.create({ netns: container.netns });
      const spec = { host: { port: 0 }, container: { port: 80 } };
      const failure = await api.add(spec).catch(String);
      await using real = await RealShim.start({}, ['sys_admin']);
      const forwarder = new RemoteForwarder(real.shim, { netns: container.netns });
      const error = await forwarder.add(spec).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        ...{ code: 'EPERM', syscall: 'setns', side: 'container' },
        path: `/proc/${container.pid}/ns/net`,
        hint: expect.stringContaining('CAP_SYS_ADMIN') as string,
      });
      expect(failure).toContain((error as Error).message);
    });
  },
);
