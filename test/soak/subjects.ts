// subjects.ts: the processes that a soak watches, each with its ports, and what is done to it
// besides traffic.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlClient } from '../../src/control/index.js';
import { requestReload } from '../contract/helpers/reload-client.js';
import { Caller, freePort, Run, runtimeFolder } from '../contract/helpers/run.js';
import type { ForwarderApi } from '../helpers/forwarder-program.js';
import { openFds, privateMemoryKiB, threadNames } from '../helpers/process-facts.js';
import { Program } from '../helpers/program.js';
import type { Random } from '../helpers/random.js';
import { residentsOf } from '../helpers/resident.js';
import { askTcp } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import type { Ports } from './load.js';

/** So that flows are gone soon after each round. */
const UDP_TIMEOUT_MS = 300;
/**
 * By default V8 lets tens of MiB of garbage pile up, which nobody can tell from a leak in minutes.
 * A list of all sessions must fit.
 */
const SMALL_HEAP = '--max-old-space-size=48 --max-semi-space-size=1 --expose-gc';
const HEAP_REPORT = 'heap';
/** The container's, among which targets change. */
export const ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;

/** What is measured of a process between two rounds. */
export type Figures = Readonly<Record<'memoryKiB' | 'descriptors' | 'threads', number>> & {
  /** JavaScript's heap after a collection, where that can be had. */
  readonly heapKiB?: number;
};

/** A process under test. */
export interface Subject {
  readonly name: string;
  readonly ports: Ports;
  /** One change or question, such as a reload or a listing; checked by its answer. */
  readonly disturb?: (random: Random) => Promise<void>;
  /** Waits until no session is open, and measures. */
  measure(): Promise<Figures>;
  stop(): Promise<void>;
}

/**
 * The helper that Podman starts, with a reload socket and a control socket, and the resident that
 * decides for it.
 */
export async function helperSubjects(containerPid: number, servers: Ports): Promise<Subject[]> {
  const caller = new Caller(`/proc/${containerPid}/ns/net`);
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-soak-'));
  const settings = join(folder, 'settings.json');
  writeFileSync(settings, JSON.stringify({ defaults: { udpTimeoutMs: UDP_TIMEOUT_MS } }));
  const ports = { tcp: await freePort(), udp: await freePort() };
  const mapping = (protocol: 'tcp' | 'udp') => ({
    host_ip: '127.0.0.1',
    host_port: ports[protocol],
    container_port: servers[protocol],
    range: 1,
    protocol,
  });
  const config = caller.config([mapping('tcp'), mapping('udp')], {
    RootlessCNI: true,
    ChildIP: ADDRESSES[0],
  });
  const node = probedNode(folder);
  const env = {
    ...process.env,
    SPLICEPORT_NODE: node,
    SPLICEPORT_CONTROL_DIR: folder,
    SPLICEPORT_CONFIG: settings,
  };
  const run = await new Run(config, { env }).ready();
  const controlSocket = join(folder, `${run.pid}.sock`);
  // It comes after the helper is ready.
  await until(() => existsSync(controlSocket), 'a control socket');
  const client = new ControlClient(controlSocket);
  const reload = async (random: Random): Promise<void> => {
    const socket = join(caller.folder, 'rp/c0ffee');
    const reply = await requestReload('seqpacket', socket, JSON.stringify(random.pick(ADDRESSES)));
    if (reply !== 'OK') throw new Error(`a reload was answered by ${reply}`);
  };
  const addAndRemove = async (): Promise<void> => {
    const [forward] = await client.add([`127.0.0.1:0:${servers.tcp}`]);
    await client.remove(forward?.id ?? NaN);
  };
  const ask = async (): Promise<void> => {
    const [forwards, metrics] = await Promise.all([
      client.forwards(),
      client.metrics(),
      client.sessions(),
    ]);
    if (forwards.length < 2) throw new Error(`${forwards.length} forwards are listed`);
    if (!metrics.includes('spliceport_forwards')) throw new Error('no forwards in the metrics');
  };
  const helper: Subject = {
    name: 'helper',
    ports,
    disturb: (random) => random.pick([reload, addAndRemove, ask])(random),
    measure: async () => {
      await until(
        async () => (await client.stats()).total.sessionsOpen === 0,
        'the end of all sessions of the helper',
        20_000,
      );
      return figuresOf(run.pid);
    },
    stop: async () => {
      const outcome = await run.letGo();
      const left = caller.files();
      caller[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
      if (outcome.code !== 0 || outcome.stderr !== '' || left.join() !== 'rp') {
        throw new Error(`the helper ended with ${JSON.stringify({ ...outcome, left })}`);
      }
    },
  };
  return [residentSubject(folder, ports), helper];
}

/** Node with a small heap, which tells of it in a file of the folder whenever it gets SIGUSR2. */
function probedNode(folder: string): string {
  const node = join(folder, 'node');
  const probe = join(folder, 'probe.cjs');
  const report = JSON.stringify(join(folder, HEAP_REPORT));
  writeFileSync(
    probe,
    `const fs = require('node:fs');
process.on('SIGUSR2', () => {
  globalThis.gc();
  fs.writeFileSync(${report} + '.new', String(process.memoryUsage().heapUsed));
  fs.renameSync(${report} + '.new', ${report});
});
`,
  );
  const command = `exec ${process.execPath} ${SMALL_HEAP} --require ${probe} "$@"`;
  writeFileSync(node, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  return node;
}

/**
 * The process that decides for the helper and for all short lives: it must be one and the same all
 * the time. It is disturbed by what is done to them.
 * @param folder - Of the helper's, where its Node writes.
 */
function residentSubject(folder: string, ports: Ports): Subject {
  const pids = residentsOf(runtimeFolder);
  const [pid = NaN] = pids;
  if (pids.length !== 1) throw new Error(`${pids.length} residents run`);
  const report = join(folder, HEAP_REPORT);
  return {
    name: 'resident',
    ports,
    measure: async () => {
      rmSync(report, { force: true });
      process.kill(pid, 'SIGUSR2');
      await until(() => existsSync(report), 'the size of the heap of the resident');
      const heapKiB = Math.round(Number(readFileSync(report, 'utf8')) / 1_024);
      return { ...figuresOf(pid), heapKiB };
    },
    stop: () => Promise.resolve(),
  };
}

/** A program of the library. */
export async function librarySubject(containerPid: number, servers: Ports): Promise<Subject> {
  const program = new Program(new URL('../helpers/forwarder-program.ts', import.meta.url), {
    nodeArgs: ['--expose-gc'],
  });
  const api = program.api<ForwarderApi>();
  await api.create({ netns: { pid: containerPid } });
  const spec = (protocol: 'tcp' | 'udp') => ({
    protocol,
    host: { address: '127.0.0.1', port: 0 },
    container: { port: servers[protocol] },
  });
  const tcp = await api.add(spec('tcp'));
  const udp = await api.add({ ...spec('udp'), udpTimeoutMs: UDP_TIMEOUT_MS });
  const retarget = (random: Random) =>
    api.retarget({ id: tcp.id, address: random.pick(ADDRESSES) });
  const addAndRemove = async (): Promise<void> => {
    const { id } = await api.add(spec('tcp'));
    await api.remove({ id });
  };
  const ask = async (): Promise<void> => {
    const [forwards] = await Promise.all([api.list(), api.stats(), api.sessions()]);
    if (forwards.length < 2) throw new Error(`${forwards.length} forwards are listed`);
  };
  return {
    name: 'library',
    ports: { tcp: tcp.host.port, udp: udp.host.port },
    disturb: (random) => random.pick([retarget, addAndRemove, ask])(random),
    measure: async () => {
      await until(
        async () => (await api.stats()).sessionsOpen === 0,
        'the end of all sessions of the library',
        20_000,
      );
      const { privateKiB, heapKiB } = await api.facts();
      return { ...figuresOf(program.pid), memoryKiB: privateKiB, heapKiB };
    },
    stop: async () => {
      await api.close({});
      await program.stop();
    },
  };
}

/**
 * Starts a helper, asks through it once, ends it, and sees that it leaves nothing but the folder of
 * all helpers.
 */
export async function shortLife(containerPid: number, servers: Ports): Promise<void> {
  const caller = new Caller(`/proc/${containerPid}/ns/net`);
  const port = await freePort();
  const mapping = { host_port: port, container_port: servers.tcp, range: 1, protocol: 'tcp' };
  const config = caller.config([mapping], { ChildIP: ADDRESSES[1] });
  await using run = new Run(config);
  await run.ready();
  if ((await askTcp({ port }, 'hello')) !== 'hello') {
    throw new Error('a helper gave another answer');
  }
  const { code, stdout, stderr } = await run.letGo();
  const left = caller.files();
  caller[Symbol.dispose]();
  if (code !== 0 || stdout + stderr !== '' || left.join() !== 'rp') {
    throw new Error(`a helper ended with ${JSON.stringify({ code, stdout, stderr, left })}`);
  }
}

function figuresOf(pid: number): Figures {
  return {
    memoryKiB: privateMemoryKiB(pid),
    descriptors: openFds(pid),
    threads: threadNames(pid).length,
  };
}
