// `spliceport rootlesskit` beside a real RootlessKit without Docker, and RootlessKit's own clients.

import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { installPackage } from '../helpers/installed-package.js';
import { until } from '../helpers/wait.js';
import type { Output } from '../podman/harness/execute.js';
import { HostSockets } from '../podman/harness/host-sockets.js';
import { Machine, type MachineProcess } from '../podman/harness/machine.js';
import { textOf } from '../podman/harness/podman-host.js';

const installed = '/run/spliceport';
const home = '/home/spliceport-test';
const cli = `/run/test/node ${installed}/lib/cli/main.js`;
const server = 'busybox nc -ll -p 8080 -e echo from-inside';

let machine: Machine;
let sockets: HostSockets;
/** RootlessKit's state directory. */
let state: string;
let states = 0;

beforeAll(async () => {
  machine = await Machine.start();
  sockets = new HostSockets(machine.pid);
  installPackage(machine.outside(installed));
});
afterAll(async () => {
  sockets.close();
  await machine.stop();
});
beforeEach(() => (state = `${home}/state${(states += 1)}`));
afterEach(async () => {
  await stop('rootlesskit --port', 'KILL');
  await stop('main.js rootlesskit', 'KILL');
});

const sh = (line: string): Promise<Output> => machine.asUser(['sh', '-c', line]);
const rootlessctl = (line: string): Promise<Output> =>
  sh(`rootlessctl --socket ${state}/api.sock ${line}`);
const read = (name: string): string => {
  const file = machine.outside(`${home}/${name}`);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

/** Processes with this in their command line, but no shell that waits for them. */
function pidsOf(words: string): number[] {
  const all = machine.processes().map(({ pid, commandLine }) => ({ pid, line: commandLine }));
  const isMeant = (line: readonly string[]) => line[0] !== 'sh' && line.join(' ').includes(words);
  return all.filter(({ line }) => isMeant(line)).map(({ pid }) => pid);
}

async function stop(words: string, signal: 'TERM' | 'KILL'): Promise<void> {
  // The first of them has the others as its children.
  for (const pid of pidsOf(words).slice(0, signal === 'TERM' ? 1 : Infinity)) {
    try {
      process.kill(pid, `SIG${signal}`);
    } catch {
      // It has ended in between.
    }
  }
  await until(() => pidsOf(words).length === 0, `the end of ${words}`);
}

/** Starts RootlessKit with a server on port 8080. */
async function startRootlessKit(portDriver = 'none'): Promise<void> {
  const options = `--net=slirp4netns --disable-host-loopback --state-dir=${state}`;
  await sh(
    `rootlesskit --port-driver=${portDriver} ${options} ${server} > kit.log 2>&1 < /dev/null &`,
  );
  await until(() => existsSync(machine.outside(`${state}/api.sock`)), 'a RootlessKit').catch(() => {
    throw new Error(read('kit.log'));
  });
}

const isServed = (): boolean =>
  lstatSync(machine.outside(`${state}/api.sock`), { throwIfNoEntry: false })?.isSymbolicLink() ===
  true;

async function startDriver(flags = ''): Promise<void> {
  await sh(
    `(${cli} rootlesskit --state-dir ${state} ${flags} > driver.log 2>&1; echo "exit $?" >> driver.log) < /dev/null > /dev/null 2>&1 &`,
  );
}

async function served(): Promise<void> {
  await until(isServed, 'a served api.sock').catch(() => {
    throw new Error(read('driver.log'));
  });
}

async function isRefused(port: number): Promise<boolean> {
  const attempt = await sockets.connect({ port }).catch((error: unknown) => error);
  return attempt instanceof Error;
}

describe('beside a RootlessKit', () => {
  beforeEach(async () => {
    await startRootlessKit();
    await startDriver();
    await served();
  });

  test('rootlessctl adds, lists and removes ports, which lead into its namespace', async () => {
    const port = await sockets.freePorts();
    const added = await rootlessctl(`add-ports 127.0.0.1:${port}:8080/tcp`);
    expect(added).toMatchObject({ code: 0, stdout: '1\n' });
    expect((await rootlessctl('list-ports')).stdout).toMatch(
      new RegExp(String.raw`^1 +tcp +127\.0\.0\.1 +${port} +8080 *$`, 'm'),
    );
    const seen = async () => textOf(await sockets.connect({ port }));
    await until(async () => (await seen()) === 'from-inside\n', 'the server runs');
    expect(await rootlessctl(`add-ports 127.0.0.1:${port}:8080/tcp`)).toMatchObject({ code: 1 });
    expect(await rootlessctl('remove-ports 1')).toMatchObject({ code: 0 });
    expect(await isRefused(port)).toBe(true);
    expect((await rootlessctl('list-ports')).stdout).not.toContain(String(port));
  });

  test('what RootlessKit says of itself is passed on, with spliceport as its port driver', async () => {
    const { stdout } = await rootlessctl('info --json');
    expect(JSON.parse(stdout)).toMatchObject({
      stateDir: state,
      childPID: Number(readFileSync(machine.outside(`${state}/child_pid`), 'utf8')),
      networkDriver: { driver: 'slirp4netns', childIP: '10.0.2.100' },
      portDriver: { driver: 'spliceport' },
    });
    expect((JSON.parse(stdout) as { version: string }).version).toBe(
      (await sh('rootlesskit --version')).stdout.trim().split(' ').at(-1),
    );
  });

  test('it ends with RootlessKit, which can then be started again in the same place', async () => {
    await stop('rootlesskit --port', 'KILL');
    await until(() => read('driver.log').includes('exit 0'), 'the end of the driver');
    await startRootlessKit();
    const info = () => rootlessctl('info --json');
    await until(async () => (await info()).code === 0, 'a second RootlessKit').catch(() => {
      throw new Error(read('kit.log'));
    });
    expect(JSON.parse((await info()).stdout)).not.toHaveProperty('portDriver');
  });

  test.each(['KILL', 'TERM'] as const)(
    'after the end of a driver by SIG%s, the next one opens its ports again',
    async (signal) => {
      const port = await sockets.freePorts();
      await rootlessctl(`add-ports 127.0.0.1:${port}:8080/tcp`);
      await stop('main.js rootlesskit', signal);
      await until(() => isRefused(port), 'the port is free');
      await startDriver();
      const line = new RegExp(String.raw`^1 +tcp +127\.0\.0\.1 +${port} .*8080 *$`, 'm');
      const list = async () => (await rootlessctl('list-ports')).stdout;
      await until(async () => line.test(await list()), 'a second driver').catch(() => {
        throw new Error(read('driver.log'));
      });
      expect(await isRefused(port)).toBe(false);
      expect(await rootlessctl('remove-ports 1')).toMatchObject({ code: 0 });
      expect(await isRefused(port)).toBe(true);
    },
  );

  test('a second driver says that there is one, and changes nothing', async () => {
    const { code, stderr } = await sh(`${cli} rootlesskit --state-dir ${state}`);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`spliceport serves ${state}/api.sock already`) as string,
    });
    expect(await rootlessctl('info --json')).toMatchObject({ code: 0 });
  });

  test('docker-proxy of RootlessKit opens its port, and closes it at SIGINT', async () => {
    const port = await sockets.freePorts();
    const childPid = readFileSync(machine.outside(`${state}/child_pid`), 'utf8');
    // Its own docker-proxy is one that never ends, as Docker's.
    const stub = `${home}/bin/docker-proxy`;
    await sh(
      `mkdir -p bin; printf '#!/bin/sh\\necho 0 >&3\\nexec sleep 60\\n' > ${stub}; chmod +x ${stub}`,
    );
    const flags = `-proto tcp -host-ip 127.0.0.1 -host-port ${port} -container-ip 127.0.0.1 -container-port 8080`;
    const line = `PATH=${home}/bin:$PATH ROOTLESSKIT_STATE_DIR=${state} rootlesskit-docker-proxy ${flags} 3>${home}/handshake`;
    await sh(
      `rm -f handshake; nsenter --preserve-credentials -U -n -t ${childPid} sh -c '${line}' > proxy.log 2>&1 < /dev/null &`,
    );
    await until(() => read('handshake') === '0\n', 'the handshake').catch(() => {
      throw new Error(`${read('handshake')}${read('proxy.log')}`);
    });
    expect(await isRefused(port)).toBe(false);
    const isProxy = ({ commandLine: [name] }: MachineProcess) =>
      name === 'rootlesskit-docker-proxy';
    process.kill(machine.processes().find(isProxy)?.pid ?? 0, 'SIGINT');
    await until(() => isRefused(port), 'the port is free');
  });
});

test('with --wait it comes before RootlessKit, and serves it when it is there', async () => {
  await startDriver('--wait');
  await until(() => read('driver.log').includes('Waiting for a RootlessKit'), 'it waits');
  await startRootlessKit();
  await served();
  expect(await rootlessctl('info --json')).toMatchObject({ code: 0 });
});

test('a RootlessKit with a port driver of its own is left alone, and the text says what to do', async () => {
  await startRootlessKit('builtin');
  const { code, stderr } = await sh(`${cli} rootlesskit --state-dir ${state}`);
  expect(code).toBe(1);
  expect(stderr).toContain('this RootlessKit has a port driver of its own: builtin');
  expect(stderr).toContain('--port-driver=none');
  expect(isServed()).toBe(false);
});

test('without a RootlessKit the text says so, and how to wait for one', async () => {
  const { code, stderr } = await sh(`${cli} rootlesskit --state-dir ${state}`);
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringMatching(/^spliceport: there is no .*\n.*--wait/) as string,
  });
});
