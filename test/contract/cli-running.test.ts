// The commands that look after forwarders which run: ls, add, rm, sessions, stats and drain.

import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import { cli, CliRun, controlFolder, program } from './helpers/cli.js';

let container: Container;
let port: number;
let run: CliRun;
let hostPort: number;
const clients: Socket[] = [];

beforeAll(async () => {
  container = await Container.start();
  ({ port } = await container.tcp({ kind: 'echo' }));
});
afterAll(() => container.stop());

const start = (...args: readonly string[]): CliRun =>
  new CliRun([
    ...['forward', '--json', `127.0.0.1:0:${port}`, '--pid', String(container.pid)],
    ...args,
  ]);

beforeEach(async () => {
  run = start();
  hostPort = (await run.event('ready')).forwards[0]?.host.port ?? 0;
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await run[Symbol.asyncDispose]();
});

/** A session that has carried a word each way. */
async function openSession(): Promise<Socket> {
  const client = await connectTcp({ port: hostPort });
  clients.push(client);
  client.write('word');
  expect(await nextText(client)).toBe('word');
  return client;
}

/** What a command prints with `--json`. */
async function json<T>(...args: readonly string[]): Promise<T> {
  const { stdout, stderr, code } = await cli([...args, '--json']);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toMatch(/^[^\n]+\n$/);
  return JSON.parse(stdout) as T;
}

describe('spliceport ls', () => {
  test('lists every forward of every forwarder', async () => {
    await using other = start();
    const { forwards } = await other.event('ready');
    const { stdout } = await cli(['ls']);
    const [titles, ...rows] = stdout.trimEnd().split('\n');
    expect(titles).toMatch(/^ID +PROTOCOL +HOST +TARGET +IN +PROGRAM +UP$/);
    const row = (id: string, host: number): unknown =>
      expect.stringMatching(
        new RegExp(
          `^${id} +tcp +127\\.0\\.0\\.1:${host} +127\\.0\\.0\\.1:${port} +` +
            `/proc/${container.pid}/ns/net +spliceport forward +\\d+s$`,
        ),
      );
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual(row(`${run.pid}/1`, hostPort));
    expect(rows).toContainEqual(row(`${other.pid}/1`, forwards[0]?.host.port ?? 0));
  });

  test('prints JSON with --json, and only ids with --quiet', async () => {
    expect(await json('ls')).toEqual([
      expect.objectContaining({
        id: String(run.pid),
        pid: run.pid,
        socketPath: `${controlFolder}/${run.pid}.sock`,
        program: 'spliceport forward',
        draining: false,
        forwards: [
          expect.objectContaining({
            id: `${run.pid}/1`,
            protocol: 'tcp',
            host: { address: '127.0.0.1', port: hostPort, dualStack: false },
          }),
        ],
      }),
    ]);
    expect((await cli(['ls', '--quiet'])).stdout).toBe(`${run.pid}/1\n`);
  });

  test('names a forwarder that does not answer and is left out', async () => {
    await using other = start();
    await other.event('ready');
    other.kill('SIGSTOP');
    const { code, stdout, stderr } = await cli(['ls', '--quiet']);
    other.kill('SIGCONT');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${run.pid}/1\n` });
    expect(stderr).toMatch(
      new RegExp(`^Skipped forwarder ${other.pid}: .*no answer within 2000 ms\n$`),
    );
  });

  test('reports that no forwarder is running', async () => {
    await run.end();
    expect(await cli(['ls'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'No forwarder of this user is running.\n',
    });
    expect(await json('ls')).toEqual([]);
  });

  test('exits quietly if its reader leaves early', async () => {
    const child = spawn(process.execPath, [program, 'ls'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SPLICEPORT_CONTROL_DIR: controlFolder },
    });
    child.stdout.destroy();
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const [code] = (await once(child, 'exit')) as [number | null];
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
  });
});

describe('stdout on a full disk', () => {
  test.each(['ls', 'ls --json', 'stats', 'sessions', 'settings show', '--help'])(
    'is reported in one line by %s',
    (words) => {
      const full = openSync('/dev/full', 'w');
      const { status, stderr } = spawnSync(process.execPath, [program, ...words.split(' ')], {
        stdio: ['ignore', full, 'pipe'],
        env: {
          ...process.env,
          SPLICEPORT_CONTROL_DIR: controlFolder,
          SPLICEPORT_CONFIG: '/dev/null',
        },
        encoding: 'utf8',
      });
      closeSync(full);
      expect(stderr).toMatch(/^spliceport: cannot write to stdout: ENOSPC[^\n]*\n$/);
      expect(status).toBe(1);
    },
  );
});

describe('spliceport add', () => {
  test('adds to the only forwarder, which reports it', async () => {
    const { stdout } = await cli(['add', `127.0.0.1:0:${port}`]);
    const [, id, added] = /^(\d+\/2) {2}tcp {2}127\.0\.0\.1:(\d+) -> /.exec(stdout) ?? [];
    expect(id).toBe(`${run.pid}/2`);
    expect(await askTcp({ port: Number(added) }, 'through')).toBe('through');
    expect(await run.event('added')).toMatchObject({ forward: { id: 2 } });
  });

  test('asks which forwarder if there are two', async () => {
    await using other = start();
    await other.event('ready');
    const { code, stderr } = await cli(['add', `127.0.0.1:0:${port}`]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^spliceport: more than one forwarder is running\nName one of \d+, \d+/);
    const added = await json('add', `127.0.0.1:0:${port}`, '--to', String(other.pid));
    expect(added).toMatchObject([{ id: `${other.pid}/2` }]);
  });

  test('adds all forwards or none, and names the process that has a port in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const taken = (server.address() as AddressInfo).port;
    const { code, stderr } = await cli(['add', `127.0.0.1:0:${port}`, `127.0.0.1:${taken}:80`]);
    server.close();
    expect(code).toBe(5);
    expect(stderr).toContain(`Process ${process.pid} uses port ${taken}: `);
    expect((await cli(['ls', '-q'])).stdout).toBe(`${run.pid}/1\n`);
  });

  test('names the option that is invalid', async () => {
    const { code, stderr } = await cli(['add', '-p', '80', '--deny', '300.1.1.1']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^spliceport: --deny: "300\.1\.1\.1" is not an IP address/);
  });

  test('reports a port of the same forwarder as in use', async () => {
    const { code, stderr } = await cli(['add', `127.0.0.1:${hostPort}:80`]);
    expect(code).toBe(5);
    expect(stderr).toMatch(/^spliceport: Forward 1 has/);
  });
});

describe('spliceport rm', () => {
  test('removes a forward by its id, or only its number', async () => {
    await cli(['add', `127.0.0.1:0:${port}`]);
    expect(await cli(['rm', `${run.pid}/1`])).toMatchObject({ code: 0, stdout: `${run.pid}/1\n` });
    expect(await isRefused({ port: hostPort })).toBe(true);
    expect(await run.event('removed')).toMatchObject({ forward: { id: 1 } });
    expect(await json('rm', '2')).toEqual([`${run.pid}/2`]);
    // A forwarder lives on without forwards, for those that may come.
    expect((await cli(['ls', '-q'])).stdout).toBe(`${run.pid}\n`);
    expect((await cli(['ls'])).stdout).toMatch(new RegExp(`^${run.pid} +- +- `, 'm'));
  });

  test('removes none if one of them does not exist', async () => {
    const outcome = await cli(['rm', `${run.pid}/1`, `${run.pid}/7`]);
    expect(outcome).toMatchObject({ code: 3, stdout: '' });
    expect(outcome.stderr).toMatch(/^spliceport: forwarder \d+ has no forward 7\n.*spliceport ls/);
    expect(await askTcp({ port: hostPort }, 'through')).toBe('through');
  });

  test.each([
    ['web', 2, /"web" is not a forward id/],
    ['4194305/1', 3, /no forwarder 4194305 is running/],
  ])('rejects the id %s with exit code %i', async (id, code, text) => {
    const outcome = await cli(['rm', id]);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toMatch(text);
  });

  test('keeps sessions for --drain seconds', async () => {
    const client = await openSession();
    const removal = cli(['rm', '1', '--drain', '600']);
    await run.event('removed');
    client.write('still');
    expect(await nextText(client)).toBe('still');
    client.end();
    expect(await removal).toMatchObject({ code: 0 });
  });
});

describe('spliceport sessions', () => {
  test('lists each session, or only those of the forwards that are named', async () => {
    const client = await openSession();
    const { localPort = 0 } = client;
    const { stdout } = await cli(['sessions']);
    expect(stdout.split('\n')[1]).toMatch(
      new RegExp(
        `^${run.pid}/1 +tcp +127\\.0\\.0\\.1:${localPort} +127\\.0\\.0\\.1:${port} +127\\.0\\.0\\.1:\\d+ +open +\\d+s +4 B +4 B$`,
      ),
    );
    const session = {
      forward: `${run.pid}/1`,
      protocol: 'tcp',
      client: { address: '127.0.0.1', port: localPort },
      state: 'open',
      bytesToContainer: 4,
    };
    expect(await json('sessions', `${run.pid}/1`)).toMatchObject([session]);
    expect(await json('sessions', String(run.pid))).toMatchObject([session]);
    expect(await json('sessions', `${run.pid}/2`)).toEqual([]);
  });
});

describe('spliceport stats', () => {
  test('shows counters of each forward, and totals that include removed forwards', async () => {
    await openSession();
    await cli(['add', `127.0.0.1:0:${port}`]);
    await cli(['rm', `${run.pid}/1`]);
    const { stdout } = await cli(['stats']);
    const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(rows[0]?.slice(0, 4)).toEqual(['FORWARD', 'HOST', 'OPEN', 'TOTAL']);
    expect(rows[1]?.[0]).toBe(`${run.pid}/2`);
    expect(rows[1]?.slice(2, 4)).toEqual(['0', '0']);
    expect(rows[2]?.slice(0, 4)).toEqual([String(run.pid), 'since its start', '0', '1']);
    expect(await json('stats')).toMatchObject([
      { id: String(run.pid), total: { sessionsTotal: 1, bytesToContainer: 4 } },
    ]);
  });

  test('shows every counter of a single forward', async () => {
    await openSession();
    const { stdout } = await cli(['stats', `${run.pid}/1`]);
    expect(stdout).toMatch(new RegExp(`^${run.pid}/1 {2}tcp {2}`));
    expect(stdout).toMatch(/^bytes to host +4 B$/m);
    expect(stdout).toMatch(/^sessions open +1$/m);
    expect(stdout).toMatch(/^time to connect, mean +\d+ µs\n( {2}(up to|above) \d+ µs +1)\n$/m);
    expect(stdout).not.toMatch(/[a-z][A-Z]/);
    expect(await json('stats', `${run.pid}/1`)).toMatchObject([
      { forwards: [{ id: `${run.pid}/1`, stats: { sessionsOpen: 1 } }] },
    ]);
  });

  test('exits with 3 for a forward that does not exist', async () => {
    expect(await cli(['stats', `${run.pid}/9`])).toMatchObject({ code: 3, stdout: '' });
  });
});

describe('a failure with --json', () => {
  test.each([
    ['rm 9', 3, /has no forward 9/],
    ['rm 4194305/1', 3, /no forwarder 4194305 is running/],
    ['stats 9', 3, /has no forward 9/],
    ['sessions 4194305/1', 3, /no forwarder 4194305 is running/],
    ['drain 4194305-1', 3, /no forwarder 4194305-1 is running/],
    ['add 80 --to 4194305', 3, /no forwarder 4194305 is running/],
    ['rm web', 2, /is not a forward id/],
  ])('is printed as an object to stdout too: %s', async (words, exitCode, text) => {
    const { code, stdout, stderr } = await cli([...words.split(' '), '--json']);
    expect(code).toBe(exitCode);
    expect(stdout).toMatch(/^[^\n]+\n$/);
    const event = JSON.parse(stdout) as { readonly message: string };
    expect(event).toMatchObject({ event: 'failed', exitCode });
    expect(event.message).toMatch(text);
    expect(stderr).toContain(`spliceport: ${event.message}\n`);
  });

  test('is printed only to stderr without --json', async () => {
    expect(await cli(['rm', '9'])).toMatchObject({ code: 3, stdout: '' });
  });
});

describe('only the number of a forward', () => {
  test('is enough for sessions and stats while a single forwarder runs', async () => {
    await openSession();
    expect(await json('sessions', '1')).toMatchObject([{ forward: `${run.pid}/1` }]);
    expect(await json('stats', '1')).toMatchObject([{ forwards: [{ id: `${run.pid}/1` }] }]);
    const { code, stderr } = await cli(['stats', '9']);
    expect(code).toBe(3);
    expect(stderr).toMatch(`spliceport: forwarder ${run.pid} has no forward 9`);
  });

  test('gets a hint from drain, which takes whole forwarders', async () => {
    const { code, stderr } = await cli(['drain', '1']);
    expect(code).toBe(2);
    expect(stderr).toContain(`spliceport rm --drain SECONDS ${run.pid}/1`);
  });

  test('is not enough while several forwarders run', async () => {
    await using other = start();
    await other.event('ready');
    const { code, stderr } = await cli(['stats', '1']);
    expect(code).toBe(3);
    expect(stderr).toContain('no forwarder 1 is running');
  });
});

describe('spliceport drain', () => {
  test('waits for sessions, and then the forwarder exits', async () => {
    const client = await openSession();
    const draining = new CliRun(['drain', '--for', '600', String(run.pid)]);
    await run.until(() => run.events.some(({ event }) => event === 'removed'), 'the drain begins');
    expect(await isRefused({ port: hostPort })).toBe(true);
    expect((await cli(['ls'])).stdout).toContain('(draining)');
    client.write('still');
    expect(await nextText(client)).toBe('still');
    client.end();
    const { code, stdout } = await draining.outcome;
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^${run.pid}  1 forward closed, 1 session ended in \\d+\\.\\d s\n$`),
    );
    expect(await run.outcome).toMatchObject({ code: 0 });
  });

  test('cuts sessions when the time is over', async () => {
    const client = await openSession();
    const ending = endingOf(client);
    expect(await json('drain', '--all', '--for', '0.2')).toMatchObject([
      { id: String(run.pid), forwards: 1, sessions: 1 },
    ]);
    expect(await ending).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    expect(await run.outcome).toMatchObject({ code: 0 });
  });

  test.each([
    ['a forward', ['4281/1'], 3, /no forwarder 4281 is running/],
    ['--all with an id', ['--all', '4281'], 2, /cannot be combined/],
  ])('rejects %s', async (_, args, code, text) => {
    const outcome = await cli(['drain', ...args]);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toMatch(text);
  });
});
