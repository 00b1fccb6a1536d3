// What is known of dockerd's proxies by the control API, without dockerd: `ls` and its like by
// container name, settings, and what happens where there is no node for them.

import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { until, within } from '../helpers/wait.js';
import { cli } from './helpers/cli.js';
import {
  DockerProxyRuns,
  freePort,
  proxyFlags,
  type ProxyRun,
} from './helpers/docker-proxy-runs.js';
import { programs, ShimFolder } from './helpers/shim-folder.js';

const id = 'c0ffee'.repeat(10) + 'beef';

let runs: DockerProxyRuns;
let server: Server;
let target: number;

beforeEach(async () => {
  runs = new DockerProxyRuns();
  server = createServer((socket) => {
    socket.on('error', () => socket.destroy()).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  target = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  server.close();
  await runs[Symbol.asyncDispose]();
});

/** A proxy of a container that runs. */
async function serving(name = 'web'): Promise<ProxyRun & { readonly port: number }> {
  const port = await freePort();
  const run = runs.run(proxyFlags(port, target));
  expect(await run.answer).toBe('0\n');
  runs.store({ id, name, port, containerPort: target, runs: true });
  return { ...run, port };
}

/** Whether a client of the port gets an answer. */
async function isServed(port: number): Promise<boolean> {
  return (await askTcp({ port }, 'hello').catch(() => '')) === 'hello';
}

async function spliceport(...args: string[]): Promise<string> {
  const env = { ...runs.env, SPLICEPORT_CONTROL_DIR: runs.controlFolder };
  const { code, stdout, stderr } = await cli(args, { env });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

describe('the control API', () => {
  test('shows a port by the name of its container, and only a call starts a node', async () => {
    const { child, port } = await serving();
    expect(runs.residents()).toEqual([]);
    const listed = await spliceport('ls');
    expect(listed).toContain(`127.0.0.1:${port}`);
    expect(listed).toContain(`web (${id.slice(0, 12)})`);
    expect(listed).toContain('docker-proxy');
    const [forwarder] = JSON.parse(await spliceport('ls', '--json')) as object[];
    expect(forwarder).toMatchObject({ pid: child.pid, container: { id, name: 'web' } });
    expect(runs.residents()).toHaveLength(1);
  });

  test('shows a container by the name that it has now', async () => {
    const { port } = await serving('before');
    expect(await spliceport('ls')).toContain('before');
    runs.store({ id, name: 'renamed', port, containerPort: target, runs: true });
    await until(async () => (await spliceport('ls')).includes('renamed'), 'the new name');
  });

  test('shows a container that has gone and another with its port as what they are', async () => {
    const { port } = await serving('gone');
    runs.store({ id, name: 'gone', port, containerPort: target, runs: false });
    expect(await spliceport('ls')).not.toContain('gone');
    const other = 'decaf'.repeat(12) + 'beef';
    runs.store({ id: other, name: 'other', port, containerPort: target, runs: true });
    await until(async () => (await spliceport('ls')).includes('other'), 'the other');
  });

  test('shows the ports of one container together', async () => {
    const other = 'decaf'.repeat(12) + 'beef';
    for (const [mine, name] of [
      [id, 'web'],
      [other, 'other'],
      [id, 'web'],
      [other, 'other'],
    ] as const) {
      const [port, containerPort] = [await freePort(), await freePort()];
      expect(await runs.run(proxyFlags(port, containerPort)).answer).toBe('0\n');
      runs.store({ id: mine, name, port, containerPort, runs: true });
    }
    const rows = (await spliceport('ls')).split('\n').slice(1, 5);
    const names = rows.map((row) => /(web|other) \(/.exec(row)?.[1]);
    expect([names[0], names[2]]).toEqual([names[1], names[3]]);
    expect(names[0]).not.toBe(names[2]);
  });

  test('lists sessions, counts and metrics by container', async () => {
    const { port } = await serving();
    const socket = await connectTcp({ port });
    socket.write('hello');
    expect(await nextText(socket)).toBe('hello');
    const sessions = JSON.parse(await spliceport('sessions', '--json')) as {
      sessions: unknown[];
    }[];
    expect(JSON.stringify(sessions)).toContain(`${socket.localPort}`);
    expect(await spliceport('stats')).toContain('5');
    const metrics = await spliceport('metrics');
    expect(metrics).toContain('container_name="web"');
    expect(metrics).toContain(`container="${id}"`);
    socket.destroy();
  });

  test('leaves no socket and no folder behind', async () => {
    const { child, exited } = await serving();
    await until(() => runs.sockets().length === 1, 'the control socket');
    child.kill('SIGINT');
    expect(await exited).toBe(0);
    expect(runs.sockets()).toEqual([]);
  });

  test('answers while sessions of a removed port go on', async () => {
    const { child, port, exited } = await serving();
    const socket = await connectTcp({ port });
    socket.write('hello');
    expect(await nextText(socket)).toBe('hello');
    await spliceport('ls');
    child.kill('SIGTERM');
    await until(() => isRefused({ port }), 'the free port');
    expect(await spliceport('sessions', '--json')).toContain(`${socket.localPort}`);
    socket.end();
    expect(await within(exited, 'the end')).toBe(0);
  });

  test('holds nothing up when the process that answers is stopped', async () => {
    const { child, exited } = await serving();
    await spliceport('ls');
    const [resident = 0] = runs.residents();
    process.kill(resident, 'SIGSTOP');
    const began = performance.now();
    child.kill('SIGINT');
    expect(await within(exited, 'the end', 2_000)).toBe(0);
    expect(performance.now() - began).toBeLessThan(1_000);
    process.kill(resident, 'SIGKILL');
  });
});

describe('a settings file', () => {
  const limit = { rules: [{ match: { containerId: id.slice(0, 8) }, set: { maxSessions: 1 } }] };

  test('limits the sessions of a container that is about to start', async () => {
    runs.settings(limit);
    const port = await freePort();
    runs.store({ id, name: 'web', port, containerPort: target, runs: false });
    expect(await runs.run(proxyFlags(port, target)).answer).toBe('0\n');
    const first = await connectTcp({ port });
    first.write('hello');
    expect(await nextText(first)).toBe('hello');
    expect(await isServed(port)).toBe(false);
    first.destroy();
    await until(() => isServed(port), 'a place for the next');
  });

  test('limits no other container', async () => {
    runs.settings(limit);
    const port = await freePort();
    runs.store({
      id: 'decaf'.repeat(12) + 'beef',
      name: 'other',
      port,
      containerPort: target,
      runs: false,
    });
    expect(await runs.run(proxyFlags(port, target)).answer).toBe('0\n');
    const first = await connectTcp({ port });
    expect(await isServed(port)).toBe(true);
    first.destroy();
  });

  test('keeps clients out by a rule for the port, with the socket of dockerd', async () => {
    const listening = createServer().listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const { port } = listening.address() as AddressInfo;
    runs.settings({ rules: [{ match: { hostPort: port }, set: { deny: ['127.0.0.1'] } }] });
    const { fd } = (listening as unknown as { _handle: { fd: number } })._handle;
    const { answer } = runs.run([...proxyFlags(port, target), '-use-listen-fd'], { fd4: fd });
    expect(await answer).toBe('0\n');
    listening.close();
    expect(await isServed(port)).toBe(false);
  });

  test('that is wrong, and may keep clients out, is refused with what is wrong', async () => {
    writeFileSync(runs.settingsFile, '{ "defaults": { "deny": [7] ');
    const { answer, exited } = runs.run(proxyFlags(await freePort(), target));
    expect(await answer).toMatch(/^1\nsettings file .*settings\.json/);
    expect(await exited).toBe(1);
  });
});

describe('a settings file without a node to read it', () => {
  test('does not hold, as the log says, and the port is served', async () => {
    runs.settings({ defaults: { udpTimeoutMs: 5_000 } });
    const port = await freePort();
    using folder = installation('process.exit(1);');
    const { answer, said } = runs.run(proxyFlags(port, target), { file: folder.command });
    expect(await answer).toBe('0\n');
    expect(await askTcp({ port }, 'hello')).toBe('hello');
    expect(said()).toContain(`the settings file does not hold for port ${port}: `);
  });

  test('leaves no port open that it may keep clients out of', async () => {
    runs.settings({ defaults: { allow: ['10.0.0.0/8'] } });
    const port = await freePort();
    using folder = installation('process.exit(1);');
    const { answer, exited } = runs.run(proxyFlags(port, target), { file: folder.command });
    expect(await answer).toMatch(/^1\nspliceport cannot read the settings file, which may say who/);
    expect(await exited).toBe(1);
    expect(await isRefused({ port })).toBe(true);
  });

  test('keeps dockerd waiting for less than its sixteen seconds', async () => {
    runs.settings({ defaults: { udpTimeoutMs: 5_000 } });
    const port = await freePort();
    using folder = installation(programs.stops);
    const began = performance.now();
    expect(await runs.run(proxyFlags(port, target), { file: folder.command }).answer).toBe('0\n');
    expect(performance.now() - began).toBeLessThan(12_000);
    expect(await askTcp({ port }, 'hello')).toBe('hello');
    for (const pid of folder.started()) process.kill(pid, 'SIGKILL');
  });

  /** The proxy with another program for the resident. */
  function installation(program: string) {
    const folder = new ShimFolder(program);
    return {
      command: folder.command,
      started: () => folder.started(),
      [Symbol.dispose]: () => rmSync(join(folder.path), { recursive: true }),
    };
  }
});
