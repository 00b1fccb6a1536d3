// spliceport as a service of systemd: sockets that are passed to it, and the states that it
// reports.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container, type TcpService } from '../helpers/container.js';
import { freePort } from '../helpers/daemon.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { isMissing, setpriv, type Tool } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';
import { CliRun, program, type CliOptions } from './helpers/cli.js';
import {
  NotifySocket,
  openSocket,
  openSocketAfterFreePort,
  python,
  withListenPid,
} from './helpers/service-manager.js';
import { powerlessRoot, startUnprivileged } from './helpers/unprivileged.js';

const analyze: Tool = { command: 'systemd-analyze', package: 'systemd' };
const units = fileURLToPath(new URL('../../packaging/systemd', import.meta.url));
const activate: Tool = { command: 'systemd-socket-activate', package: 'systemd' };

let folder: string;
let container: Container;
let echo: TcpService;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-systemd-'));
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
});
afterAll(async () => {
  await container.stop();
  rmSync(folder, { recursive: true });
});

const toPid = (): string[] => ['--pid', String(container.pid)];

interface Passed {
  readonly fd: number;
  readonly name: string;
}

/** Options of a run that gets sockets; this process closes its own copies. */
function passing(sockets: readonly Passed[], env: NodeJS.ProcessEnv = {}): CliOptions {
  return {
    command: [...withListenPid, process.execPath, program],
    fds: sockets.map(({ fd }) => fd),
    env: {
      LISTEN_FDS: String(sockets.length),
      LISTEN_FDNAMES: sockets.map(({ name }) => name).join(':'),
      ...env,
    },
  };
}

/** A run of forward with sockets. */
function forward(specs: readonly string[], sockets: readonly Passed[]): CliRun {
  const run = new CliRun(['forward', '--json', ...specs, ...toPid()], passing(sockets));
  for (const { fd } of sockets) closeSync(fd);
  return run;
}

describe('a socket that systemd passes', () => {
  test('is used for the specification with its address and port, clients in its queue included', async () => {
    const { fd, port } = openSocket();
    const early = await connectTcp({ port });
    early.write('early');
    await using run = forward([`127.0.0.1:${port}:${echo.port}`], [{ fd, name: 'web.socket' }]);
    const { forwards } = await run.event('ready');
    expect(forwards.map(({ host }) => host.port)).toEqual([port]);
    expect(await nextText(early)).toBe('early');
    early.destroy();
    expect(await run.end()).toMatchObject({ code: 0 });
    expect(await isRefused({ port })).toBe(true);
  });

  test('is used whatever its address, for a specification without one', async () => {
    const { fd, port } = openSocket('tcp', '127.0.0.3');
    await using run = forward([`${port}:${echo.port}`], [{ fd, name: '' }]);
    const { forwards } = await run.event('ready');
    expect(forwards[0]?.host).toMatchObject({ address: '127.0.0.3', port });
    expect(await askTcp({ port, address: '127.0.0.3' }, 'word')).toBe('word');
  });

  test('is used by its name, beside another of the other protocol and a port of no socket', async () => {
    const tcp = openSocket();
    const udp = openSocket('udp');
    const server = await container.udp({ echo: true });
    await using run = forward(
      [`@web:${echo.port}`, `@web:${server.port}/udp`, `127.0.0.1:0:${echo.port}`],
      [
        { fd: tcp.fd, name: 'web' },
        { fd: udp.fd, name: 'web' },
      ],
    );
    const { forwards } = await run.event('ready');
    expect(forwards.slice(0, 2).map(({ host }) => host.port)).toEqual([tcp.port, udp.port]);
    expect(await askTcp({ port: tcp.port }, 'word')).toBe('word');
    expect(await askTcp({ port: forwards[2]?.host.port ?? 0 }, 'other')).toBe('other');
    using client = await UdpSocket.bind();
    expect((await client.ask('datagram', udp.port, '127.0.0.1')).data.toString()).toBe('datagram');
  });

  test('is used within a range of ports', async () => {
    const { fd, port } = openSocketAfterFreePort();
    const range = `127.0.0.1:${port - 1}-${port}:${echo.port - 1}-${echo.port}`;
    await using run = forward([range], [{ fd, name: '' }]);
    await run.event('ready');
    expect(await askTcp({ port }, 'word')).toBe('word');
  });

  test('gets the settings of its port', async () => {
    const { fd, port } = openSocket();
    const config = join(folder, 'config.json');
    const rule = { match: { hostPort: port }, set: { sourceAddress: 'proxy-v2' } };
    writeFileSync(config, JSON.stringify({ rules: [rule] }));
    const options = passing([{ fd, name: 'web' }], { SPLICEPORT_CONFIG: config });
    await using run = new CliRun(['forward', '--json', `@web:${echo.port}`, ...toPid()], options);
    closeSync(fd);
    const { forwards } = await run.event('ready');
    expect(forwards[0]).toMatchObject({ sourceAddress: 'proxy-v2' });
  });

  test.each([
    [
      'that no specification is for',
      ['127.0.0.1:0:80'],
      'web',
      /^spliceport: no port specification is for tcp 127\.0\.0\.1:\d+ \(web\), which systemd passed\nAdd 127\.0\.0\.1:\d+:PORT or @web:PORT, /,
    ],
    [
      'of another name than is asked for',
      ['@other:80'],
      'web',
      /^spliceport: systemd has passed no tcp socket named other\nIt has passed tcp 127\.0\.0\.1:\d+ \(web\)\.\n/,
    ],
    [
      'of the other protocol than is asked for',
      ['@web:80/udp'],
      'web',
      /^spliceport: systemd has passed no udp socket named web\n/,
    ],
    ['whose name is not followed by a port', ['@web'], 'web', /is written as @NAME:containerPort/],
    ['that would lead to several ports', ['@web:80-81'], 'web', /leads to a single port/],
  ])('%s is a usage error', async (_, specs, name, text) => {
    await using run = forward(specs, [{ fd: openSocket().fd, name }]);
    const outcome = await run.outcome;
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(text);
  });

  test('that is connected already is a usage error', async () => {
    const { fd: listener, port } = openSocket();
    const client = await connectTcp({ port });
    const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
    const run = new CliRun(
      ['forward', '127.0.0.1:0:80', ...toPid()],
      passing([{ fd, name: 'connection' }]),
    );
    const { code, stderr } = await run.outcome;
    client.destroy();
    closeSync(listener);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^spliceport: descriptor 3 \(connection\), .*\n.*not Accept=yes/);
  });

  test('for another process is left alone', async () => {
    const { fd } = openSocket();
    const options = passing([{ fd, name: 'web' }], { LISTEN_PID: '1' });
    const command = [process.execPath, program];
    await using run = new CliRun(['forward', '--json', '127.0.0.1:0:80', ...toPid()], {
      ...options,
      command,
    });
    closeSync(fd);
    await run.event('ready');
  });

  test.skipIf(isMissing(activate, 'activation by systemd-socket-activate'))(
    'by systemd-socket-activate serves the client that started the service',
    async () => {
      const port = await freePort();
      const command = ['systemd-socket-activate', '-l', `127.0.0.1:${port}`, '--fdname=web'];
      const variables = ['SPLICEPORT_CONTROL_DIR', 'SPLICEPORT_CONFIG'].flatMap((name) => [
        '-E',
        name,
      ]);
      await using run = new CliRun(['forward', '--json', `@web:${echo.port}`, ...toPid()], {
        command: [...command, ...variables, process.execPath, program],
      });
      await until(async () => !(await isRefused({ port })), 'the socket', 20_000);
      expect(await askTcp({ port }, 'first')).toBe('first');
      expect((await run.event('ready')).forwards[0]?.host.port).toBe(port);
    },
  );
});

describe.skipIf(isMissing(analyze, 'the check of the units'))(
  'the units of the Debian package',
  () => {
    test.each(['spliceport@.service', 'spliceport-metrics.service'])('are valid: %s', (unit) => {
      const place = mkdtempSync(join(folder, 'units-'));
      const text = readFileSync(join(units, unit), 'utf8');
      // The program that it starts need not be installed.
      writeFileSync(join(place, unit), text.replace('/usr/bin/spliceport ', '/bin/true '));
      const args = ['verify', '--user', '--man=no', join(place, unit.replace('@', '@web'))];
      const env = { ...process.env, HOME: place, XDG_RUNTIME_DIR: place };
      const { status, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8', env });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(text).toContain('\nType=notify\n');
    });
  },
);

describe.skipIf(isMissing(python, 'the states that systemd is told'))('systemd is told', () => {
  test.each(['path', 'abstract'])(
    'of the start and the end, at a socket with an %s name',
    async (kind) => {
      const path = kind === 'path' ? join(folder, 'notify') : `@spliceport-test-${process.pid}`;
      await using socket = await NotifySocket.open(path);
      await using run = new CliRun(['forward', '--json', '127.0.0.1:0:80', ...toPid()], {
        env: { NOTIFY_SOCKET: path },
      });
      await run.event('ready');
      expect(await socket.message(/^READY=1$/)).toEqual({
        pid: run.pid,
        text: 'READY=1\nSTATUS=Forwarding 1 port\n',
      });
      expect(socket.count(/^WATCHDOG=1$/)).toBe(0);
      await run.end();
      expect((await socket.message(/^STOPPING=1$/)).pid).toBe(run.pid);
    },
  );

  test('of the traffic, and how long the sessions may take to end', async () => {
    const path = join(folder, 'traffic');
    await using socket = await NotifySocket.open(path);
    const args = ['--drain', '60', '--interval', '0.1', ...toPid()];
    await using run = new CliRun(['forward', '--json', `127.0.0.1:0:${echo.port}`, ...args], {
      env: { NOTIFY_SOCKET: path },
    });
    const { forwards } = await run.event('ready');
    const client = await connectTcp({ port: forwards[0]?.host.port ?? 0 });
    // What comes before the first look is no news at the second.
    await until(() => {
      client.write('word');
      return socket.count(/^STATUS=.*1 open, 1 session in all/) > 0;
    }, 'the traffic');
    run.kill('SIGTERM');
    const { text } = await socket.message(/^STOPPING=1$/);
    expect(text).toContain('\nEXTEND_TIMEOUT_USEC=70000000\n');
    await socket.message(/^STATUS=1 session may continue for 60 seconds$/);
    client.destroy();
    expect(await run.outcome).toMatchObject({ code: 0 });
  });

  test('again and again that the service lives, if it has a watchdog', async () => {
    const path = join(folder, 'watchdog');
    await using socket = await NotifySocket.open(path);
    await using run = new CliRun(['forward', '--json', '127.0.0.1:0:80', ...toPid()], {
      command: [...withListenPid, process.execPath, program],
      env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' },
    });
    await run.event('ready');
    await until(() => socket.count(/^WATCHDOG=1$/) >= 3, 'three signs of life');
  });

  test('of the metrics’ start', async () => {
    const path = join(folder, 'metrics');
    await using socket = await NotifySocket.open(path);
    await using run = new CliRun(['metrics', '--listen', '127.0.0.1:0'], {
      env: { NOTIFY_SOCKET: path },
    });
    const { pid, text } = await socket.message(/^READY=1$/);
    expect(pid).toBe(run.pid);
    expect(text).toMatch(/STATUS=Serving http:\/\/127\.0\.0\.1:\d+\/metrics\n/);
    await run.end();
    await socket.message(/^STOPPING=1$/);
  });

  test('nothing that stops the service, if the socket is gone', async () => {
    await using run = new CliRun(['forward', '--json', '127.0.0.1:0:80', ...toPid()], {
      env: { NOTIFY_SOCKET: join(folder, 'gone') },
    });
    await run.event('ready');
    await run.until(() => /^Cannot notify systemd at .*gone: /m.test(run.stderr), 'the remark');
    expect(await run.end()).toMatchObject({ code: 0 });
  });

  test.skipIf(isMissing(setpriv, 'a service without privileges'))(
    'by the process that it started, where another one holds the sockets',
    async () => {
      const path = join(folder, 'outer');
      await using socket = await NotifySocket.open(path);
      const unprivileged = await startUnprivileged(powerlessRoot);
      const { fd, port } = openSocket();
      const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' };
      const { command = [], ...options } = passing([{ fd, name: 'web' }], env);
      await using run = new CliRun(
        ['forward', '--json', '@web:7', '--pid', String(unprivileged.pid)],
        { ...options, command: [...powerlessRoot, ...command] },
      );
      closeSync(fd);
      const { pid } = await run.event('ready');
      expect(pid).not.toBe(run.pid);
      expect(await askTcp({ port }, 'word')).toBe('word');
      expect((await socket.message(/^READY=1$/)).pid).toBe(run.pid);
      expect((await socket.message(/^WATCHDOG=1$/)).pid).toBe(run.pid);
      await run.end();
      expect((await socket.message(/^STOPPING=1$/)).pid).toBe(run.pid);
      expect(await isRefused({ port })).toBe(true);
      unprivileged.stdin?.end();
    },
  );
});
