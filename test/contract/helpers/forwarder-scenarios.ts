// forwarder-scenarios.ts: what can be asked of a forwarder, wherever its engine is. Each scenario
// gives what came of it, in words that two forwarders in the same place have in common.

import type { Forward, ForwarderEvents, ForwardSpec } from '../../../src/index.js';
import type { ForwarderOperations } from '../../../src/operations.js';
import { at } from '../../../src/util.js';
import type { Container, TcpService, UdpService } from '../../helpers/container.js';
import { askTcp, connectTcp, endingOf, isRefused, isServed } from '../../helpers/tcp-client.js';
import { UdpSocket } from '../../helpers/udp-socket.js';
import { until } from '../../helpers/wait.js';

/** Where scenarios take place. */
export interface Ground {
  readonly container: Container;
  readonly other: Container;
  /** Says `hello`. */
  readonly server: TcpService;
  /** Sends everything back. */
  readonly echo: TcpService;
  readonly udp: UdpService;
  /** Ports of the host: one that another program has, and two that are free. */
  readonly taken: number;
  readonly free: readonly [number, number];
}

/** What came of an attempt. */
export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** What an error says, and what it has. */
function factsOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, cause } = error;
  return {
    kind: error.constructor.name,
    ...{ name, message },
    ...Object.fromEntries(Object.entries(error)),
    ...(cause !== undefined && { cause: factsOf(cause) }),
  };
}

export async function outcomeOf(attempt: () => unknown): Promise<Outcome> {
  try {
    return { value: await attempt() };
  } catch (error) {
    return { error: factsOf(error) };
  }
}

/** A forward without the port that the kernel chose. */
function plain({ host, ...forward }: Forward): unknown {
  return { ...forward, host: { ...host, port: host.port > 0 } };
}

function isForward(fact: object | string | number): fact is Forward {
  return typeof fact === 'object' && 'host' in fact;
}

function loopback(port: number, hostPort = 0, more: Partial<ForwardSpec> = {}): ForwardSpec {
  return { host: { address: '127.0.0.1', port: hostPort }, container: { port }, ...more };
}

/** Adds one to a server that says `hello`. */
const greeting = (forwarder: ForwarderOperations, { server }: Ground) =>
  forwarder.add(loopback(server.port));

/** Notes events as they come. */
function noteEvents(forwarder: ForwarderOperations): unknown[] {
  const noted: unknown[] = [];
  const note =
    <E extends 'added' | 'removed' | 'retargeted' | 'warning'>(event: E) =>
    (...args: ForwarderEvents[E]) =>
      void noted.push([event, ...args.map((arg) => (isForward(arg) ? plain(arg) : arg))]);
  forwarder.on('added', note('added')).on('removed', note('removed'));
  forwarder.on('retargeted', note('retargeted')).on('warning', note('warning'));
  return noted;
}

/** Fails as the forwards do, with what another one becomes that has one of their ports. */
async function failsAndLeavesFree(
  forwarder: ForwarderOperations,
  specs: readonly ForwardSpec[],
  port: number,
): Promise<never> {
  const failure = await outcomeOf(() => forwarder.addAll(specs));
  const again = plain(await forwarder.add(loopback(80, port)));
  throw Object.assign(new Error('as they were'), { failure, again });
}

/** What a scenario does; what it gives is compared. */
export type Scenario = (forwarder: ForwarderOperations, ground: Ground) => Promise<unknown>;

/** Scenarios in which everything works. */
export const working: Readonly<Record<string, Scenario>> = {
  'a port is opened, listed and closed': async (forwarder, ground) => {
    const forward = await greeting(forwarder, ground);
    const answer = await askTcp(forward.host);
    const listed = [forwarder.list().map(plain), forwarder.get(forward.id) === forward];
    await forwarder.remove(forward.id);
    const after = [forwarder.list(), forwarder.get(forward.id), await isRefused(forward.host)];
    return {
      forward: plain(forward),
      frozen: Object.isFrozen(forward.host),
      answer,
      listed,
      after,
    };
  },
  'ranges are opened in order, of both protocols and families': async (forwarder, { server }) => {
    const forwards = await forwarder.addAll([
      { ...loopback(server.port), count: 3 },
      `0:${server.port}`,
      `127.0.0.1:0:${server.port}/udp`,
      { host: { address: '::1', port: 0 }, container: { address: '::1', port: 80 } },
      { host: { address: '0.0.0.0', port: 0 }, container: { address: '10.0.0.1', port: 80 } },
    ]);
    return { forwards: forwards.map(plain), answer: await askTcp(at(forwards, 0).host) };
  },
  'no forwards are added': async (forwarder) => [
    await forwarder.addAll([]),
    forwarder.list(),
    await forwarder.stats(),
    await forwarder.sessions(),
  ],
  'a text, a namespace by its path, and the own one': async (forwarder, ground) => {
    const { server, container, echo } = ground;
    const path = `/proc/${container.pid}/ns/net`;
    const outer = await forwarder.addAll([
      loopback(server.port, 0, { netns: { path } }),
      loopback(echo.port, 0, { netns: 'own' }),
    ]);
    return [outer.map(plain), await askTcp(at(outer, 0).host)];
  },
  'new targets are in force, and sessions go on with the old ones': async (forwarder, ground) => {
    const { echo, server, other } = ground;
    const { id, host } = await forwarder.add(loopback(echo.port));
    const before = await connectTcp(host);
    before.write('before');
    const [first] = await new Promise<Buffer[]>((resolve) => {
      before.once('data', (data: Buffer) => resolve([data]));
    });
    await forwarder.retarget(id, { port: server.port });
    const answer = await askTcp(host);
    await forwarder.retarget([id], { address: '127.0.0.2', netns: other.netns });
    const there = forwarder.get(id);
    before.end();
    const ending = await endingOf(before);
    return { first: first?.toString(), answer, there: there && plain(there), ending };
  },
  'everything is told': async (forwarder, ground) => {
    const { server, echo, other } = ground;
    const noted = noteEvents(forwarder);
    const [first, second] = await forwarder.addAll([loopback(server.port), loopback(echo.port)]);
    await forwarder.retarget([first?.id ?? 0, second?.id ?? 0], { netns: other.netns });
    await forwarder.remove(first?.id ?? 0);
    await forwarder.close();
    return noted;
  },
  'a removed forward drains until its last session ends': async (forwarder, { echo }) => {
    const { id, host } = await forwarder.add(loopback(echo.port));
    const client = await connectTcp(host);
    await until(async () => (await forwarder.stats(id)).sessionsOpen, 'a session');
    let isGone = false;
    const removal = forwarder.remove(id, { drainMs: 60_000 }).then(() => (isGone = true));
    await until(() => forwarder.list().length === 0, 'the removal');
    const during = [(await forwarder.stats(id)).sessionsOpen, await isRefused(host), isGone];
    const again = forwarder.remove([id]);
    const retarget = await outcomeOf(() => forwarder.retarget(id, { port: 1 }));
    client.end();
    await Promise.all([removal, again]);
    return { during, retarget, after: await outcomeOf(() => forwarder.stats(id)) };
  },
  'a drain that takes too long ends': async (forwarder, { echo }) => {
    const { id, host } = await forwarder.add(loopback(echo.port));
    const client = await connectTcp(host);
    await until(async () => (await forwarder.stats(id)).sessionsOpen, 'a session');
    await forwarder.remove(id, { drainMs: 50 });
    return endingOf(client);
  },
  'counters are kept after the end': async (forwarder, ground) => {
    const first = await greeting(forwarder, ground);
    const second = await greeting(forwarder, ground);
    for (const host of [first.host, second.host, second.host]) await askTcp(host);
    await until(async () => (await forwarder.stats()).sessionsOpen === 0, 'the end of sessions');
    const each = [await forwarder.stats(first.id), await forwarder.stats(second.id)];
    const counts = each.map(({ sessionsTotal, bytesToHost }) => [sessionsTotal, bytesToHost]);
    const connects = each.map(({ connectLatency }) =>
      connectLatency.reduce((sum, count) => sum + count, 0),
    );
    await forwarder.remove(first.id);
    const { sessionsTotal: afterRemoval } = await forwarder.stats();
    await forwarder.close();
    const { sessionsTotal, sessionsOpen, bytesToHost } = await forwarder.stats();
    const keys = Object.keys(at(each, 0)).sort();
    return {
      keys,
      counts,
      connects,
      afterRemoval,
      last: [sessionsTotal, sessionsOpen, bytesToHost],
    };
  },
  'why a server could not be reached is counted': async (forwarder) => {
    const { id, host } = await forwarder.add(loopback(9));
    const { errorCode } = await endingOf(await connectTcp(host));
    const { connectFailures, connectTimeouts, connectError } = await forwarder.stats(id);
    return [errorCode, connectFailures, connectTimeouts, connectError];
  },
  'clients are let in or not': async (forwarder, { server }) => {
    const denied = await forwarder.add(loopback(server.port, 0, { deny: ['127.0.0.0/8'] }));
    const allowed = await forwarder.add(loopback(server.port, 0, { allow: ['127.0.0.1'] }));
    const served = [await isServed(denied.host), await isServed(allowed.host)];
    return [served, (await forwarder.stats(denied.id)).sessionsDenied];
  },
  'sessions are listed': async (forwarder, { echo, udp }) => {
    const tcp = await forwarder.add(loopback(echo.port));
    const flows = await forwarder.add(loopback(udp.port, 0, { protocol: 'udp' }));
    const client = await connectTcp(tcp.host);
    using datagrams = await UdpSocket.bind();
    await datagrams.ask('hi', flows.host.port);
    const sessions = await until(async () => {
      const all = await forwarder.sessions();
      return all.length === 2 && all.every(({ source }) => source !== undefined) && all;
    }, 'sessions');
    const clients = [client.localPort, datagrams.port];
    client.destroy();
    return sessions
      .map(({ ageMs, client: { address, port }, source, ...session }) => ({
        ...{ ...session, address, isOurs: clients.includes(port), hasAge: ageMs >= 0 },
        source: source?.address,
      }))
      .sort((left, right) => left.forwardId - right.forwardId);
  },
  'it is closed with all that it has, whatever is asked of it next': async (forwarder, ground) => {
    const forward = await greeting(forwarder, ground);
    const [closing, closed] = [forwarder.close(), forwarder.closed];
    await Promise.all([closing, forwarder.close()]);
    return {
      closed,
      ports: await isRefused(forward.host),
      list: forwarder.list(),
      sessions: await forwarder.sessions(),
      add: await outcomeOf(() => greeting(forwarder, ground)),
      retarget: await outcomeOf(() => forwarder.retarget(forward.id, { port: 1 })),
      remove: await outcomeOf(() => forwarder.remove(forward.id)),
    };
  },
  'it drains before it closes': async (forwarder, { echo }) => {
    const { host } = await forwarder.add(loopback(echo.port));
    const client = await connectTcp(host);
    await until(async () => (await forwarder.stats()).sessionsOpen, 'a session');
    const closing = forwarder.close({ drainMs: 60_000 });
    await until(() => forwarder.list().length === 0, 'the removal');
    const during = [(await forwarder.stats()).sessionsOpen, await isRefused(host)];
    client.end();
    await closing;
    return [during, (await forwarder.stats()).sessionsTotal];
  },
};

/** Scenarios in which something fails. */
export const failing: Readonly<Record<string, Scenario>> = {
  'a port that another program has': (forwarder, { server, taken }) =>
    forwarder.add(loopback(server.port, taken)),
  'one of several, which leaves none open': (forwarder, { server, taken, free: [port] }) => {
    const specs = [loopback(server.port, port), loopback(server.port, taken)];
    return failsAndLeavesFree(forwarder, specs, port);
  },
  'an address that the host does not have': (forwarder, { server }) =>
    forwarder.add({ host: { address: '192.0.2.77', port: 0 }, container: { port: server.port } }),
  'a port that a forward has': async (forwarder, { server, free }) => {
    await forwarder.add(loopback(server.port, free[0]));
    await forwarder.add(loopback(server.port, free[0]));
  },
  'a port twice': (forwarder, { server, free }) =>
    forwarder.addAll([loopback(server.port), loopback(7, free[0]), loopback(8, free[0])]),
  'a forward to itself': (forwarder, { free: [port] }) =>
    forwarder.add(loopback(port, port, { netns: 'own' })),
  'forwards to each other': (forwarder, { free: [first, second] }) =>
    forwarder.addAll([
      loopback(second, first, { netns: 'own' }),
      loopback(first, second, { netns: { pid: process.pid } }),
    ]),
  'a forward that is led to itself': async (forwarder, { free: [port] }) => {
    const { id } = await forwarder.add(loopback(9, port));
    await forwarder.retarget(id, { netns: 'own', port });
  },
  'a namespace that is gone': (forwarder) =>
    forwarder.add(loopback(80, 0, { netns: { path: '/proc/0/ns/net' } })),
  'a process that is gone': (forwarder) =>
    forwarder.add(loopback(80, 0, { netns: { pid: 2 ** 31 - 1 } })),
  'one namespace of two that is gone, which leaves no port open': (forwarder, { free: [port] }) => {
    const missing = { path: '/run/spliceport-none' };
    const specs = [loopback(80, port), loopback(80, 0, { netns: missing })];
    return failsAndLeavesFree(forwarder, specs, port);
  },
  'a namespace that is none': (forwarder) =>
    forwarder.add(loopback(80, 0, { netns: { path: '/proc/self/ns/uts' } })),
  'a file that is none': (forwarder) =>
    forwarder.add(loopback(80, 0, { netns: { path: '/dev/null' } })),
  'a path that leads nowhere': (forwarder) =>
    forwarder.add(loopback(80, 0, { netns: { path: '/dev/null/net' } })),
  'a new namespace that is gone': async (forwarder, ground) => {
    const { id } = await greeting(forwarder, ground);
    await forwarder.retarget(id, { netns: { path: '/proc/0/ns/net' } });
  },
  'a new namespace that is none': async (forwarder, ground) => {
    const { id } = await greeting(forwarder, ground);
    await forwarder.retarget(id, { netns: { path: '/proc/self/ns/uts' } });
  },
  'a forward that there is not, to be removed': async (forwarder, ground) => {
    const { id } = await greeting(forwarder, ground);
    await forwarder.remove([id, 77]);
  },
  'a forward that there is not, for its counters': (forwarder) =>
    Promise.resolve(forwarder.stats(77)),
  'a forward that there is not, for a new target': (forwarder) => forwarder.retarget(77, {}),
  'an id that is none': (forwarder) => forwarder.remove(0),
  'a list that is none': (forwarder) => forwarder.addAll('8080:80' as never),
  'a field that is unknown': (forwarder) =>
    forwarder.add({ ...loopback(80), prot: 'tcp' } as never),
  'a range for add': (forwarder) => forwarder.add({ ...loopback(80), count: 2 }),
  'a port that is none': (forwarder) => forwarder.add(loopback(70_000)),
  'a text that is none': (forwarder) => forwarder.add('8080'),
  'a target that is none': (forwarder) => forwarder.retarget(1, { address: 'web' }),
  'an event that is none': (forwarder) =>
    Promise.resolve(forwarder.on('vanished' as never, () => undefined)),
};
