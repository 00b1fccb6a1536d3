// libexec/docker-proxy as dockerd calls it, without dockerd: flags, descriptors 3 and 4, signals,
// and what it leaves to Docker's own proxy.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive, openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until, within } from '../helpers/wait.js';
import {
  DockerProxyRuns,
  freePort,
  proxyFlags,
  proxyProgram as program,
  type ProxyOptions,
  type ProxyRun,
} from './helpers/docker-proxy-runs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = join(root, 'libexec/own-process/docker-proxy');

let runs: DockerProxyRuns;
let server: Server;
let target: number;

beforeEach(async () => {
  runs = new DockerProxyRuns();
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy()).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  target = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  server.close();
  await runs[Symbol.asyncDispose]();
});

function run(args: readonly string[], options: ProxyOptions = {}): ProxyRun {
  return runs.run(args, options);
}

function flags(hostPort: number, more: Readonly<Record<string, string>> = {}): string[] {
  return proxyFlags(hostPort, target, more);
}

/** A listener to be handed over, and its descriptor. */
async function listener(): Promise<{ port: number; fd: number; close: () => void }> {
  const listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { fd } = (listening as unknown as { _handle: { fd: number } })._handle;
  return {
    port: (listening.address() as AddressInfo).port,
    fd,
    close: () => void listening.close(),
  };
}

describe('the flags', () => {
  test.each([
    ['one dash', (name: string, value: string) => [`-${name}`, value]],
    ['an equals sign', (name: string, value: string) => [`-${name}=${value}`]],
    ['two dashes', (name: string, value: string) => [`--${name}`, value]],
    ['two dashes and an equals sign', (name: string, value: string) => [`--${name}=${value}`]],
  ])('are taken with %s', async (_, write) => {
    const port = await freePort();
    const plain = flags(port);
    const words = plain.flatMap((word, i) =>
      i % 2 ? [] : write(word.slice(1), plain[i + 1] ?? ''),
    );
    expect(await run(words).answer).toBe('0\n');
    expect(await askTcp({ port }, 'hello')).toBe('hello');
  });

  test.each(['-v', '--version', '-version'])('%s prints the version', (flag) => {
    const { stdout, status } = spawnSync(program, [flag], { encoding: 'utf8' });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(stdout).toBe(`docker-proxy (spliceport) version ${version}\n`);
    expect(status).toBe(0);
  });

  test.each([
    [{ proto: 'icmp' }, 'unsupported protocol "icmp"'],
    [{ 'host-ip': 'nowhere' }, '-host-ip must be an IP address, and is "nowhere"'],
    [{ 'host-port': '65536' }, '-host-port must be a port from 1 to 65535, and is 65536'],
    [{ 'container-port': '0' }, '-container-port must be a port from 1 to 65535, and is 0'],
  ])('%j is refused with a text', async (wrong, text) => {
    const { answer, exited } = run(flags(1, wrong));
    expect(await answer).toBe(`1\n${text}\n`);
    expect(await exited).toBe(1);
  });
});

describe('the host socket', () => {
  test('is descriptor 4 with -use-listen-fd', async () => {
    const { port, fd, close } = await listener();
    const { answer } = run([...flags(port), '-use-listen-fd'], { fd4: fd });
    close();
    expect(await answer).toBe('0\n');
    expect(await askTcp({ port }, 'hello')).toBe('hello');
  });

  test('is opened without it, of UDP too', async () => {
    const echo = await UdpSocket.bind({ echo: true });
    const port = await freePort();
    const { answer } = run(flags(port, { proto: 'udp', 'container-port': `${echo.port}` }));
    expect(await answer).toBe('0\n');
    const client = await UdpSocket.bind();
    expect((await client.ask('hello', port)).data.toString()).toBe('hello');
    client.close();
    echo.close();
  });

  test.each([
    ['ignore' as const, 'is no socket'],
    ['pipe' as const, 'is no tcp socket for IPv4'],
    [undefined, 'is no socket'],
  ])('that is %s is refused with what to do', async (fd4, what) => {
    const { answer, exited } = run([...flags(1), '-use-listen-fd'], {
      ...(fd4 === undefined ? {} : { fd4 }),
    });
    expect(await answer).toBe(
      `1\ndescriptor 4, which -use-listen-fd announces, ${what}; dockerd passes it, so start this program by ` +
        "dockerd's --userland-proxy-path, or without -use-listen-fd\n",
    );
    expect(await exited).toBe(1);
  });

  test('whose port another program has is refused as Docker does, with who has it', async () => {
    const { answer } = run(flags(target));
    expect(await answer).toBe(
      `1\nlisten tcp4 127.0.0.1:${target}: bind: address already in use (another program has this port: ` +
        `ss -Hnptl 'sport = :${target}' shows which)\n`,
    );
  });

  test('at an address that is nobody’s is refused with where to look', async () => {
    const { answer } = run(flags(7, { 'host-ip': '203.0.113.77' }));
    expect(await answer).toContain('bind: cannot assign requested address (this machine does not');
  });

  test('is served although nobody listens at descriptor 3', async () => {
    const port = await freePort();
    run(flags(port), { fd3: 'none' });
    await until(async () => !(await isRefused({ port })), 'the port');
    expect(await askTcp({ port }, 'hello')).toBe('hello');
  });
});

describe('signals', () => {
  async function serving() {
    const port = await freePort();
    const { child, answer, exited } = run(flags(port));
    expect(await answer).toBe('0\n');
    const socket = await connectTcp({ port });
    socket.write('hello');
    expect(await nextText(socket)).toBe('hello');
    return { port, child, exited, socket };
  }

  test('SIGINT ends it at once, with its sessions', async () => {
    const { child, exited, socket, port } = await serving();
    const ending = endingOf(socket);
    child.kill('SIGINT');
    expect(await within(exited, 'the end', 2_000)).toBe(0);
    await ending;
    expect(await isRefused({ port })).toBe(true);
  });

  test('SIGTERM frees the port and lets sessions go on, until the last has ended', async () => {
    const { child, exited, socket, port } = await serving();
    child.kill('SIGTERM');
    await until(() => isRefused({ port }), 'the free port');
    // It comes once for each thread of a dockerd that ends.
    child.kill('SIGTERM');
    socket.write('still');
    expect(await nextText(socket)).toBe('still');
    expect(isAlive(child.pid ?? 0)).toBe(true);
    socket.end();
    expect(await within(exited, 'the end')).toBe(0);
  });

  test('SIGINT ends it while sessions go on', async () => {
    const { child, exited, port } = await serving();
    child.kill('SIGTERM');
    await until(() => isRefused({ port }), 'the free port');
    child.kill('SIGINT');
    expect(await within(exited, 'the end', 2_000)).toBe(0);
  });

  test('no descriptor is left of a hundred sessions', async () => {
    const { child, port } = await serving();
    const pid = child.pid ?? 0;
    const before = openFds(pid);
    for (let i = 0; i < 100; i += 1) expect(await askTcp({ port }, 'hello')).toBe('hello');
    // A pooled pipe may stay.
    await until(() => openFds(pid) <= before + 2, 'closed descriptors');
  });
});

describe('what Docker’s own proxy does', () => {
  let folder: string;
  beforeEach(() => {
    ({ folder } = runs);
    const own = join(folder, 'docker-proxy');
    writeFileSync(own, '#!/bin/sh\nprintf "0\\n%s\\n" "$*" >&3\n');
    chmodSync(own, 0o755);
  });

  test.each([
    ['SCTP', () => flags(7, { proto: 'sctp' })],
    ['a flag of a newer Docker', () => [...flags(7), '-new-flag']],
  ])('%s is left to it, with the same arguments', async (_, words) => {
    const { answer, said } = run(words(), { env: { PATH: folder } });
    expect(await answer).toBe(`0\n${words().join(' ')}\n`);
    await until(() => said().includes(`${folder}/docker-proxy serves this port`), 'a line');
  });

  test('SCTP without it is refused with a text', async () => {
    const { answer } = run(flags(7, { proto: 'sctp' }));
    expect(await answer).toMatch(/^1\nspliceport does not forward SCTP, and Docker's own/);
  });

  test('a flag that nobody knows is refused with a text', async () => {
    const { answer } = run([...flags(7), '-new-flag']);
    expect(await answer).toBe('1\nflag provided but not defined: -new-flag\n');
  });

  test('it takes the place of a program that is not compiled', async () => {
    const words = flags(7);
    const { answer } = run(words, { file: script, env: { PATH: folder } });
    expect(await answer).toBe(`0\n${words.join(' ')}\n`);
  });

  test('a program that is not compiled says so without it', async () => {
    const { answer, exited } = run(flags(7), { file: script });
    expect(await answer).toMatch(/^1\nspliceport is not installed completely: /);
    expect(await exited).toBe(1);
  });
});
