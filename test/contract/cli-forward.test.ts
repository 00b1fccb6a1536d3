// `spliceport forward` as root of the user namespace that owns the container's: no other privileges
// are needed.

import { spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { cli, CliRun, controlFolder, program } from './helpers/cli.js';

let container: Container;
let port: number;

beforeAll(async () => {
  container = await Container.start();
  ({ port } = await container.tcp({ kind: 'echo' }));
});
afterAll(() => container.stop());

const toPid = (): string[] => ['--pid', String(container.pid)];

/** Starts a forwarder, up to its readiness, with `--json`. */
async function startJson(...args: string[]) {
  const run = new CliRun(['forward', '--json', ...args]);
  const { forwards, ...ready } = await run.event('ready');
  return { run, ready, forwards, hostPort: forwards[0]?.host.port ?? 0 };
}

describe('spliceport forward', () => {
  test('prints the port that the kernel chose, and forwards it until SIGINT', async () => {
    await using run = new CliRun(['forward', `127.0.0.1:0:${port}`, ...toPid()]);
    const line = /^tcp {2}127\.0\.0\.1:(\d+) -> 127\.0\.0\.1:(\d+)$/m;
    const [, chosen, target] = await run.until(() => line.exec(run.stdout), 'the port');
    expect(Number(target)).toBe(port);
    expect(await askTcp({ port: Number(chosen) }, 'through')).toBe('through');
    const { code, signal, stdout } = await run.end('SIGINT');
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(stdout.split('\n')).toHaveLength(2);
    expect(await isRefused({ port: Number(chosen) })).toBe(true);
  });

  test.each([
    ['a port alone', ['@'], '::'],
    ['an empty host port', [':@'], '::'],
    ['an empty host port behind an address', ['127.0.0.1::@'], '127.0.0.1'],
    ['an empty host port behind an IPv6 address', ['[::1]::@'], '::1'],
    ['-p', ['-p', '127.0.0.1:0:@/tcp'], '127.0.0.1'],
  ])('takes %s, as after the -p of a container engine', async (_, words, address) => {
    const { forwards, hostPort, ...started } = await startJson(
      ...words.map((word) => word.replace('@', String(port))),
      ...toPid(),
    );
    await using run = started.run;
    expect(forwards).toMatchObject([{ host: { address }, container: { port } }]);
    expect(
      await askTcp(
        { port: hostPort, address: address === '::' ? '127.0.0.1' : address },
        'through',
      ),
    ).toBe('through');
    await run.end();
  });

  test('forwards the same port of two addresses or protocols', async () => {
    const free = await freeRange(1);
    const texts = [`127.0.0.1:${free}:80`, `127.0.0.2:${free}:80`, `127.0.0.1:${free}:80/udp`];
    const { forwards, ...started } = await startJson(...texts, ...toPid());
    await using run = started.run;
    expect(forwards).toHaveLength(3);
    await run.end();
  });

  test('writes log lines to stderr if that is not a terminal', async () => {
    await using run = new CliRun(['forward', `127.0.0.1:0:${port}`, ...toPid()]);
    await run.until(() => run.stderr.includes('ready'), 'a line of the log');
    const { stderr } = await run.end();
    expect(stderr).toMatch(/ready/);
    expect(stderr).toMatch(/0 sessions, 0 B to the container, 0 B to the host/);
    expect(stderr).not.toContain('\x1b');
  });

  test('sends the client’s address to the server, or the one that a load balancer names', async () => {
    const options = ['--source-address', 'proxy-v1', '--accept-proxy'];
    const trusted = ['10.0.0.0/8', '127.0.0.1'].flatMap((cidr) => ['--trusted-proxy', cidr]);
    const { hostPort, ...started } = await startJson(
      ...[`127.0.0.1:0:${port}`, ...options, ...trusted, ...toPid()],
    );
    await using run = started.run;
    const header = 'PROXY TCP4 203.0.113.9 192.0.2.80 51000 443\r\n';
    expect(await askTcp({ port: hostPort }, `${header}hello`)).toBe(`${header}hello`);
    await run.end();
  });

  test('rejects --accept-proxy without a --trusted-proxy', async () => {
    const run = await cli(['forward', `127.0.0.1:0:${port}`, '--accept-proxy', ...toPid()]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('--accept-proxy and --trusted-proxy require each other');
  });

  test('prints a line for each event with --json', async () => {
    const { ready, forwards, hostPort, ...started } = await startJson(
      `127.0.0.1:0:${port}`,
      '--interval',
      '0.1',
      ...toPid(),
    );
    await using run = started.run;
    expect(ready.pid).toBe(run.pid);
    expect(ready.netnsPath).toBe(`/proc/${container.pid}/ns/net`);
    expect(ready.controlSocket).toBe(`${controlFolder}/${run.pid}.sock`);
    expect(forwards[0]?.container).toEqual({ address: '127.0.0.1', port });
    await askTcp({ port: hostPort }, 'x'.repeat(1_000));
    const traffic = await run.until(
      () =>
        run.events.find(
          (event) => event.event === 'traffic' && event.bytesToContainerPerSecond > 0,
        ),
      'the traffic',
    );
    expect(traffic).toMatchObject({ sessionsTotal: 1 });
    await run.end();
    const names = run.events.map(({ event }) => event);
    expect(names[0]).toBe('ready');
    expect(names.at(-1)).toBe('closed');
    const { stats } = await run.event('closed');
    expect(stats).toMatchObject({ sessionsTotal: 1, bytesToContainer: 1_000, bytesToHost: 1_000 });
    expect(run.stderr).toBe('');
  });

  test('forwards ranges, UDP and IPv6 to a namespace given by its path', async () => {
    const udp = await container.udp();
    const range = await freeRange(3);
    const { forwards, ...started } = await startJson(
      `127.0.0.1:${range}-${range + 2}:${port}-${port + 2}`,
      `[::1]:0:${udp.port}/udp`,
      '--netns',
      `/proc/${container.pid}/ns/net`,
    );
    await using run = started.run;
    expect(forwards.map(({ container: { port: each } }) => each)).toEqual([
      ...[port, port + 1, port + 2],
      udp.port,
    ]);
    expect(await askTcp({ port: range }, 'first of a range')).toBe('first of a range');
    using client = await UdpSocket.bind({ address: '::1' });
    await client.send('datagram', forwards[3]?.host.port ?? 0, '::1');
    await udp.seenCount(1);
    expect(await run.end()).toMatchObject({ code: 0 });
  });

  test('keeps running at a hang-up without a terminal, as with nohup', async () => {
    const { hostPort, ...started } = await startJson(`127.0.0.1:0:${port}`, ...toPid());
    await using run = started.run;
    run.kill('SIGHUP');
    // A call of the control socket comes after the signal.
    expect((await cli(['add', `127.0.0.1:0:${port}`])).code).toBe(0);
    expect(await askTcp({ port: hostPort }, 'through')).toBe('through');
    expect(await run.end()).toMatchObject({ code: 0, signal: null });
  });

  test('opens no inspector at SIGUSR1', async () => {
    const { hostPort, ...started } = await startJson(`127.0.0.1:0:${port}`, ...toPid());
    await using run = started.run;
    run.kill('SIGUSR1');
    // Node would say on standard error where its inspector listens, long before another process has
    // begun and ended.
    expect((await cli(['add', `127.0.0.1:0:${port}`])).code).toBe(0);
    expect(await askTcp({ port: hostPort }, 'through')).toBe('through');
    expect(await run.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('exits when nobody reads its output any more, as in a pipe to head -1', () => {
    const words = ['forward', `127.0.0.1:0:${port}`, ...toPid()].join(' ');
    const { status, stdout } = spawnSync(
      'sh',
      ['-c', `'${process.execPath}' '${program}' ${words} | head -1`],
      {
        env: {
          ...process.env,
          SPLICEPORT_CONTROL_DIR: controlFolder,
          SPLICEPORT_CONFIG: '/dev/null',
        },
        encoding: 'utf8',
        timeout: 20_000,
      },
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^tcp {2}127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+\n$/);
  });

  test('keeps sessions for --drain seconds, but not after a second signal', async () => {
    const { hostPort, ...started } = await startJson(
      `127.0.0.1:0:${port}`,
      '--drain',
      '3600',
      ...toPid(),
    );
    await using run = started.run;
    const client = await connectTcp({ port: hostPort });
    client.write('before');
    expect(await nextText(client)).toBe('before');
    run.kill('SIGTERM');
    const { sessionsOpen, drainMs } = await run.event('draining');
    expect(sessionsOpen).toBe(1);
    // What is left of the hour: some milliseconds may have gone by.
    expect(drainMs).toBeGreaterThan(3_590_000);
    expect(drainMs).toBeLessThanOrEqual(3_600_000);
    expect(await isRefused({ port: hostPort })).toBe(true);
    client.write('still');
    expect(await nextText(client)).toBe('still');
    const ending = endingOf(client);
    const { code } = await run.end('SIGTERM');
    expect(code).toBe(0);
    expect(await ending).toEqual({ ended: false, errorCode: 'ECONNRESET' });
  });

  test('exits as soon as the last session ends, when it drains', async () => {
    const { hostPort, ...started } = await startJson(
      `127.0.0.1:0:${port}`,
      '--drain',
      '3600',
      ...toPid(),
    );
    await using run = started.run;
    const client = await connectTcp({ port: hostPort });
    client.write('before');
    await nextText(client);
    run.kill('SIGINT');
    await run.event('draining');
    client.end();
    expect(await run.outcome).toMatchObject({ code: 0 });
    client.destroy();
  });
});

describe('spliceport forward, when something is wrong', () => {
  test.each([
    ['no specification', ['--pid', '1'], /missing required argument 'spec'/],
    [
      'a wrong specification',
      ['80x', '--pid', '1'],
      /^spliceport: "80x" is not an IP address, .*\n.*forward --help/,
    ],
    ['a port named twice', ['8080:80', '8080:80'], /tcp port 8080 is given twice: 8080:80 and/],
    [
      'ranges that overlap',
      ['80-89:80-89', '85:80'],
      /tcp port 85 is given twice: 80-89:80-89 and 85/,
    ],
    ['no container', ['8080:80'], /no container given\n.*--container NAME/],
    ['two containers', ['8080:80', '--pid', '1', '--netns', '/x'], /cannot be used with/],
    ['a wrong pid', ['8080:80', '--pid', 'web'], /Not a process id/],
    ['a wrong time', ['8080:80', '--pid', '1', '--drain', '-1'], /number of seconds/],
    [
      'an unknown option',
      ['8080:80', '--frob'],
      /option '--frob'\nSee "spliceport forward --help"/,
    ],
  ])('exits with 2 for %s', async (_, args, text) => {
    const outcome = await cli(['forward', ...args]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/^spliceport: /);
    expect(outcome.stderr).toMatch(text);
    // Words of the library's arguments are none of the command line's.
    expect(outcome.stderr).not.toMatch(/specs?\[|received|of type/);
  });

  test.each([
    [
      'a wrong address',
      ['80', '--allow', '300.1.1.1'],
      /--allow: "300\.1\.1\.1" is not an IP address/,
    ],
    [
      'too high a rate',
      ['80', '--max-rate', '9999999'],
      /--max-rate: 9999999 is not an integer from/,
    ],
    [
      'a wrong load balancer',
      ['80', '--accept-proxy', '--trusted-proxy', 'x'],
      /--trusted-proxy: "x" is not an IP address/,
    ],
  ])('exits with 2 for %s, and names the option', async (_, args, text) => {
    const outcome = await cli(['forward', ...args, ...toPid()]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(text);
    expect(outcome.stderr).not.toMatch(/specs?\[|received|of type/);
  });

  test.each([
    ['process', ['--pid', '4194305'], /there is no process 4194305\n/],
    ['namespace', ['--netns', '/nowhere/net'], /namespace is gone.*\/nowhere\/net\n.*Look it up/],
  ])('exits with 3 for a %s that does not exist', async (_, args, text) => {
    const outcome = await cli(['forward', '8080:80', ...args]);
    expect(outcome).toMatchObject({ code: 3, stdout: '' });
    expect(outcome.stderr).toMatch(text);
  });

  test('exits with 5 for a port in use, and names the process that has it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const taken = (server.address() as AddressInfo).port;
    const specs = ['127.0.0.1:0:80', `${taken}:80`];
    const { code, stderr } = await cli(['forward', ...specs, ...toPid()]);
    server.close();
    expect(code).toBe(5);
    expect(stderr).toMatch(/^spliceport: (bind|listen) EADDRINUSE/);
    expect(stderr).toContain(`Process ${process.pid} uses port ${taken}: `);
  });

  test('prints the failure with --json too', async () => {
    const { code, stdout } = await cli(['forward', '8080:80', '--json', '--pid', '4194305']);
    expect(code).toBe(3);
    const event = JSON.parse(stdout) as object;
    expect(event).toMatchObject({ event: 'failed', message: 'there is no process 4194305' });
  });

  test('works without a control socket, and warns', async () => {
    const env = { SPLICEPORT_CONTROL_DIR: '/proc/nowhere' };
    await using run = new CliRun(['forward', '--json', `127.0.0.1:0:${port}`, ...toPid()], { env });
    expect(await run.event('ready')).toMatchObject({ controlSocket: null });
    expect(run.stderr).toMatch(/^No control socket/);
  });
});

/** The first of some consecutive ports that are free. */
async function freeRange(length: number): Promise<number> {
  for (let first = 20_000 + (process.pid % 10_000); ; first += length) {
    const servers = await Promise.all(
      Array.from({ length }, async (_, index) => {
        const server = createServer();
        const isFree = await new Promise<boolean>((resolve) => {
          server.once('listening', () => resolve(true)).once('error', () => resolve(false));
          server.listen(first + index, '127.0.0.1');
        });
        return { server, isFree };
      }),
    );
    for (const { server } of servers) server.close();
    if (servers.every(({ isFree }) => isFree)) return first;
  }
}
