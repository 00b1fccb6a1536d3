// Settings files made at random: what the check calls right, a forwarder takes and does; what it
// calls wrong opens no port without a gate that the file asks for.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Forwarder, type ForwardSpec } from '../../src/index.js';
import { addWithSettings } from '../../src/engines/podman/add-forwards.js';
import { helperSettings } from '../../src/engines/podman/helper-settings.js';
import { thisProcess } from '../../src/engines/podman/surroundings.js';
import { forwarderSettings, withSettings } from '../../src/settings/apply.js';
import { gatesOnly } from '../../src/settings/gates.js';
import { describeProblem, loadSettings } from '../../src/settings/load.js';
import type { QuickSettings } from '../../src/settings/quick.js';
import type { SettingsFile } from '../../src/settings/settings-types.js';
import { resolveForwards, resolveOptions } from '../../src/spec/validate.js';
import { cli } from '../contract/helpers/cli.js';
import { freePorts } from '../contract/helpers/run.js';
import { Container } from '../helpers/container.js';
import { clientAddresses, hasAddress } from '../helpers/random-blocks.js';
import { Random } from '../helpers/random.js';
import {
  containerId,
  gates,
  makeValue,
  settingNames,
  wantedAt,
  type Values,
} from '../helpers/random-settings.js';
import { makeSettingsFile, type MadeFile } from '../helpers/random-settings-file.js';
import { makeWrongValue } from '../helpers/settings-mistakes.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until, within } from '../helpers/wait.js';

// What the helper tells its caller is in its notices as well.
vi.mock(import('../../src/engines/podman/streams.js'), async (original) => ({
  ...(await original()),
  writeAll: () => undefined,
}));

const FILES = 120;
/** What takes less may be over before a busy machine comes to it. */
const PATIENCE_MS = 2_000;
const CONTAINER_PORT = 7_000;
const PORTS = 3;
/** Whom a load balancer names. */
const NAMED = '203.0.113.9';

const require = createRequire(import.meta.url);
const compiled = require('../../lib/settings/quick.cjs') as {
  loadQuickly: (path: string) => Promise<QuickSettings>;
};

const folder = mkdtempSync(join(tmpdir(), 'spliceport-settings-property-'));
const path = join(folder, 'settings.json');
let container: Container;
let firstPort: number;
/** How often each kind of thing has happened. */
const seen: Record<string, number> = {};

beforeAll(async () => {
  vi.stubEnv('SPLICEPORT_CONFIG', path);
  container = await Container.start();
  firstPort = await freePorts(PORTS);
  for (let offset = 0; offset < PORTS; offset++) {
    await container.tcp({ kind: 'echo' }, { port: CONTAINER_PORT + offset });
    await container.udp({ echo: true, port: CONTAINER_PORT + offset });
  }
});
afterAll(async () => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
  await container.stop();
});

/** A range over IPv4 and a port over IPv6, for TCP and for UDP. */
function published(): ForwardSpec[] {
  return (['tcp', 'udp'] as const).flatMap((protocol) =>
    [
      { address: '127.0.0.1', offset: 0, count: 2 },
      { address: '::1', offset: 2, count: 1 },
    ].map(({ address, offset, count }) => ({
      protocol,
      host: { address, port: firstPort + offset },
      container: { port: CONTAINER_PORT + offset },
      count,
    })),
  );
}

test('settings files that the check accepts are applied, and no other file opens a port without its gates', async () => {
  for (let seed = 1; seed <= FILES; seed++) {
    const made = makeSettingsFile(new Random(seed), firstPort);
    writeFileSync(path, made.text);
    try {
      await judge(made, seed, new Random(seed));
    } catch (error) {
      const mistakes = made.mistakes.map(({ what }) => what).join('; ');
      const message = `seed ${seed}, mistakes: ${mistakes || 'none'}\n${made.text.slice(0, 4_000)}`;
      throw new Error(`${message}\n${String(error)}`, { cause: error });
    }
  }
  // Of each kind there were enough to tell.
  expect(Object.values(seen).filter((times) => times >= 15)).toHaveLength(7);
});

test('a single setting passes the check if the library accepts it, and only then', () => {
  const random = new Random(1);
  const others = ['controlSocket', 'log', 'reloadSocket', 'process', 'residentLingerSeconds'];
  const keys = settingNames.filter((key) => !others.includes(key));
  for (const key of keys) {
    for (let turn = 0; turn < 30; turn++) {
      const make = random.once(3) ? makeValue : makeWrongValue;
      const value = make(random, key);
      // The library takes null for what is left out.
      if (value === null) continue;
      const defaults = { ...(key === 'trustedProxies' && { acceptProxy: true }), [key]: value };
      writeFileSync(path, JSON.stringify({ defaults }));
      const isRight = loadSettings(path).problems.length === 0;
      expect({ defaults, isTaken: isRight }).toEqual({ defaults, isTaken: isTaken(defaults) });
    }
  }
});

test('the longest lists are accepted, and none that is longer', async () => {
  const list = new Array<string>(100_000).fill('::');
  for (const [allow, deny] of [
    [list, list],
    [[...list, '::'], []],
    [list, [...list, '::']],
  ]) {
    writeFileSync(path, JSON.stringify({ defaults: { allow, deny } }));
    const isRight = allow === list && deny === list;
    expect(loadSettings(path).problems.length === 0).toBe(isRight);
    await using run = await HelperRun.start(published().slice(0, 1));
    expect(run.failure === undefined).toBe(isRight);
  }
});

/** Whether the library takes settings, right or wrong, for a forwarder and its forward. */
function isTaken(defaults: Values): boolean {
  const file = { defaults } as SettingsFile;
  try {
    resolveOptions(forwarderSettings(file, undefined));
    resolveForwards(withSettings(file, published(), undefined), '/proc/self/ns/net');
    return true;
  } catch {
    return false;
  }
}

async function judge(made: MadeFile, seed: number, random: Random): Promise<void> {
  const { problems, file, gates: legible } = loadSettings(path);
  const isRight = problems.length === 0;
  expect(isRight).toBe(made.mistakes.length === 0);
  expect(await compiled.loadQuickly(path)).toEqual({
    file,
    gates: isRight ? gatesOnly(file) : legible,
    problems: problems.map(describeProblem),
  });
  if (seed % 30 === 0) expect((await cli(['settings', 'check', path])).code).toBe(isRight ? 0 : 2);
  await using run = await HelperRun.start();
  count(`${isRight ? 'right' : 'wrong'}, ${run.failure === undefined ? 'open' : 'closed'}`);
  if (isRight) expect(run).toMatchObject({ failure: undefined, notices: [] });
  if (made.mistakes.some(({ hidesGate }) => hidesGate)) {
    expect(run.failure?.message).toMatch(/ports do not open without /);
  } else if (made.isJson) {
    expect(run.failure).toBeUndefined();
  }
  const { forwarder } = run;
  if (run.failure !== undefined || forwarder === undefined) {
    expect(forwarder?.list() ?? []).toEqual([]);
    return;
  }
  expect(forwarder.list()).toHaveLength(2 * PORTS);
  for (const protocol of ['tcp', 'udp'] as const) {
    for (let offset = 0; offset < PORTS; offset++) {
      const subject = { protocol, port: firstPort + offset };
      const wanted = wantedAt(made.parts, subject);
      expect(run.gatesAt(subject)).toEqual(gatesOf(wanted));
      await visit(forwarder, subject, isRight ? wanted : gatesOf(wanted), random);
    }
  }
}

/** What the helper does with the settings file, in this process. */
class HelperRun implements AsyncDisposable {
  failure: Error | undefined;
  forwarder: Forwarder | undefined;
  notices: readonly string[] = [];
  #specs: readonly ForwardSpec[] = [];

  static async start(specs = published()): Promise<HelperRun> {
    const run = new HelperRun();
    try {
      await run.#forward(specs);
    } catch (error) {
      run.failure = error as Error;
    }
    return run;
  }

  async #forward(wanted: readonly ForwardSpec[]): Promise<void> {
    const settings = await helperSettings(containerId, thisProcess());
    this.notices = settings.notices;
    const forwarder = new Forwarder({ netns: container.netns, ...settings.options });
    this.forwarder = forwarder;
    const addAll = (specs: readonly ForwardSpec[]) => forwarder.addAll((this.#specs = specs));
    await addWithSettings({ addAll }, wanted, settings);
    settings.log?.leaveStandardError();
  }

  /** The gates that the forward at a port was given. */
  gatesAt({ protocol, port }: Subject): Values {
    const spec = this.#specs.find(
      ({ protocol: own, host, count = 1 }) =>
        own === protocol && host.port <= port && port < host.port + count,
    );
    return gatesOf({ ...spec });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.forwarder?.close();
  }
}

interface Subject {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** Those who are believed are nobody's concern where no headers are read. */
function gatesOf(settings: Values): Values {
  const isRead = settings['acceptProxy'] === true;
  const own = gates.filter((key) => key in settings && (key !== 'trustedProxies' || isRead));
  return Object.fromEntries(own.map((key) => [key, settings[key]]));
}

/** Comes as a client, and is served or refused as the settings have it. */
async function visit(
  forwarder: Forwarder,
  { protocol, port }: Subject,
  settings: Values,
  random: Random,
): Promise<void> {
  const forward = forwarder
    .list()
    .find((each) => each.protocol === protocol && each.host.port === port);
  if (forward === undefined) throw new Error(`there is no forward at ${protocol} port ${port}`);
  const { sourceAddress = 'container' } = settings;
  const hasNone = protocol === 'udp' && sourceAddress === 'proxy-v1';
  expect(forward.sourceAddress).toBe(hasNone ? 'container' : sourceAddress);
  const [address, from] =
    port === firstPort + 2
      ? ['::1', '::1']
      : ['127.0.0.1', random.pick(['127.0.0.1', '127.9.8.7'])];
  const isRead = settings['acceptProxy'] === true;
  const isIn = isRead
    ? isListed(settings['trustedProxies'], from) && isAdmitted(settings, NAMED)
    : isAdmitted(settings, from);
  const times = ['connectTimeoutMs', 'udpTimeoutMs', ...(isRead ? ['proxyHeaderTimeoutMs'] : [])];
  if (times.some((key) => Number(settings[key] ?? PATIENCE_MS) < PATIENCE_MS)) return;
  const text = isRead ? Buffer.concat([headerOf(protocol), Buffer.from('x')]) : Buffer.from('x');
  const where = { address, port, from, text };
  count(`${protocol}, ${isIn ? 'served' : 'refused'}`);
  if (protocol === 'tcp') {
    expect({ ...where, isServed: await isServed(where) }).toEqual({ ...where, isServed: isIn });
    return;
  }
  using client = await UdpSocket.bind({ address: from });
  await client.send(text, port, address);
  if (isIn) {
    expect((await client.next()).data.toString('latin1')).toMatch(/x$/);
    return;
  }
  await until(() => {
    const { sessionsDenied, proxySourcesUntrusted } = forwarder.stats(forward.id);
    return sessionsDenied + proxySourcesUntrusted > 0;
  }, 'the datagram is refused');
}

function isAdmitted({ allow, deny = [] }: Values, address: string): boolean {
  return (allow === undefined || isListed(allow, address)) && !isListed(deny, address);
}

function isListed(blocks: unknown, address: string): boolean {
  const numeric = clientAddresses[address];
  if (numeric === undefined) throw new Error(`${address} is not known`);
  return hasAddress(blocks as string[], numeric);
}

/** A header of the PROXY protocol, version 2, that names {@link NAMED}, port 1000. */
function headerOf(protocol: 'tcp' | 'udp'): Buffer {
  const signature = '0d0a0d0a000d0a515549540a';
  const kind = protocol === 'tcp' ? '11' : '12';
  return Buffer.from(`${signature}21${kind}000ccb007109c633640103e80050`, 'hex');
}

/** Whether a server answers; who is refused is reset. */
async function isServed({
  address,
  port,
  from,
  text,
}: {
  address: string;
  port: number;
  from: string;
  text: Buffer;
}): Promise<boolean> {
  const socket = createConnection({ host: address, port, localAddress: from, noDelay: true });
  const ending = new Promise<Error>((resolve) => socket.on('error', resolve));
  socket.write(text);
  try {
    const [fate] = (await within(
      Promise.race([once(socket, 'data'), ending.then((error) => [error])]),
      'an answer or a reset',
    )) as [Buffer | NodeJS.ErrnoException];
    if (Buffer.isBuffer(fate)) return true;
    if (fate.code === 'ECONNRESET' || fate.code === 'EPIPE') return false;
    throw fate;
  } finally {
    socket.destroy();
  }
}

function count(what: string): void {
  seen[what] = (seen[what] ?? 0) + 1;
}
