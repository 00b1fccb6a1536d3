// What the helper and `spliceport forward` log, and where to.

import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { askTcp, connectTcp, endingOf } from '../helpers/tcp-client.js';
import { isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { CliRun } from './helpers/cli.js';
import { repeatedKeys } from './helpers/json-keys.js';
import { FakeJournal, socat } from './helpers/journal.js';
import { requestReload } from './helpers/reload-client.js';
import { Run, type RunOptions } from './helpers/run.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();

interface Line {
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly time: string;
  readonly [fact: string]: unknown;
}
let deadPort: number;

beforeAll(async () => {
  const dead = await fixture.container.tcp({ kind: 'echo' });
  await dead.close();
  deadPort = dead.port;
});

const reloadSocket = () => join(fixture.caller.folder, 'rp', 'c0ffee');
const logFile = () => join(fixture.caller.folder, 'log');

function writeSettings(log: object): string {
  const path = join(fixture.caller.folder, 'settings.json');
  writeFileSync(path, JSON.stringify({ defaults: { log } }));
  return path;
}

function start(log: object, containerPort = fixture.echo.port, options: RunOptions = {}): Run {
  const config = fixture.caller.config([fixture.mapping({ container_port: containerPort })], {
    RootlessCNI: true,
  });
  const env = { ...process.env, SPLICEPORT_CONFIG: writeSettings(log) };
  return new Run(config, {
    ...options,
    env: { ...env, SPLICEPORT_CONTROL_DIR: join(fixture.caller.folder, 'control'), ...options.env },
  });
}

/**
 * Starts a helper whose runtime says something on standard error at a signal, as it does when it
 * aborts.
 */
function startChatty(log: object): Run {
  const report = ['--report-on-signal', `--report-directory=${fixture.caller.folder}`];
  const helper = fileURLToPath(new URL('../../lib/engines/podman.cjs', import.meta.url));
  return start(log, fixture.echo.port, { command: [process.execPath, ...report, helper] });
}
const said = /^Node\.js report completed$/m;

const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      expect(repeatedKeys(line)).toEqual([]);
      return JSON.parse(line) as Line;
    });

describe('the helper’s log', () => {
  test('has lines for ready, reloads and exit in a file, each with the container', async () => {
    await using run = start({ destination: logFile() });
    await run.ready();
    // Has no line, for nobody has asked for sessions.
    expect(await askTcp({ port: fixture.port }, 'hello')).toBe('hello');
    expect(await requestReload('seqpacket', reloadSocket(), '"127.0.0.2"\n')).toBe('OK');
    expect(await requestReload('seqpacket', reloadSocket(), '"127.0.0.3"\n')).toBe('OK');
    expect(await requestReload('seqpacket', reloadSocket(), '"nonsense"\n')).not.toBe('OK');
    const lines = () => linesOf(readFileSync(logFile(), 'utf8'));
    const { stdout, stderr } = await run.letGo();
    await until(() => lines().some(({ event }) => event === 'closed'), 'the last line');
    expect(
      lines()
        .map(({ level, event }) => `${level} ${event}`)
        .sort(),
    ).toEqual([
      'info closed',
      'info ready',
      'info retargeted',
      'info retargeted',
      'warn reload-refused',
    ]);
    for (const line of lines()) {
      expect(line).toMatchObject({ program: 'rootlessport', pid: run.pid, container: 'c0ffee' });
      expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    }
    const retargeted = lines().filter(({ event }) => event === 'retargeted');
    expect(retargeted.map(({ message }) => message.replace(/^.* -> /, ''))).toEqual([
      `127.0.0.2:${fixture.echo.port}`,
      `127.0.0.3:${fixture.echo.port}`,
    ]);
    expect(statSync(logFile()).mode & 0o777).toBe(0o600);
    // Until it is ready, its caller is told, too.
    expect(stdout).toBe('');
    expect(linesOf(stderr).map(({ event }) => event)).toEqual(['ready']);
  });

  test('has the reason why there is no control socket', async () => {
    const env = { SPLICEPORT_CONTROL_DIR: '/dev/null/control' };
    await using run = start({ destination: logFile(), level: 'warn' }, fixture.echo.port, { env });
    await run.ready();
    const lines = () => linesOf(readFileSync(logFile(), 'utf8'));
    await until(() => lines().length > 0, 'the line');
    expect(lines()).toEqual([
      expect.objectContaining({
        level: 'warn',
        event: 'no-control-socket',
        message: expect.stringMatching(/^there is no control socket: .*ENOTDIR/) as string,
      }),
    ]);
  });

  test('sums up failed connects at intervals, rather than one by one', async () => {
    await using run = start({ destination: logFile(), summaryIntervalMs: 100 }, deadPort);
    await run.ready();
    for (let count = 0; count < 3; count++) {
      await endingOf(await connectTcp({ port: fixture.port }));
    }
    const troubles = () =>
      linesOf(readFileSync(logFile(), 'utf8')).filter(({ event }) => event === 'troubles');
    const total = () =>
      troubles().reduce((sum, { connectFailures }) => sum + Number(connectFailures), 0);
    await until(() => total() === 3, 'the summaries');
    expect(troubles()[0]).toMatchObject({ level: 'warn' });
    expect(troubles()[0]?.message).toMatch(/^\d connections? to the container failed \(tcp .*\)$/);
  });

  test('has only the lines of its level, as text if that is configured', async () => {
    await using run = start({ destination: logFile(), format: 'text', level: 'warn' });
    await run.ready();
    await requestReload('seqpacket', reloadSocket(), '"nonsense"\n');
    await run.letGo();
    await until(() => readFileSync(logFile(), 'utf8').includes('\n'), 'the line');
    expect(readFileSync(logFile(), 'utf8')).toMatch(
      /^\d{4}-\S+Z warn rootless port failed to add port: invalid ChildIP: "nonsense"\n$/,
    );
  });

  test('is appended to a file', async () => {
    writeFileSync(logFile(), 'before\n');
    await using run = start({ destination: logFile() });
    await run.ready();
    expect(readFileSync(logFile(), 'utf8')).toMatch(/^before\n\{/);
  });

  test('includes in a file what the runtime prints when it aborts', async () => {
    await using run = startChatty({ destination: logFile() });
    await run.ready();
    process.kill(run.pid, 'SIGUSR2');
    await until(() => said.test(readFileSync(logFile(), 'utf8')), 'what it says');
  });

  test('includes in the journal what the runtime prints when it aborts', async () => {
    let text = '';
    await using journal = createServer((stream) =>
      stream.on('data', (data) => (text += String(data))),
    );
    await once(journal.listen(join(fixture.caller.folder, 'stdout')), 'listening');
    await using datagrams = await FakeJournal.start(join(fixture.caller.folder, 'journal'));
    await using run = startChatty({ destination: 'journal', journalSocket: datagrams.path });
    await run.ready();
    process.kill(run.pid, 'SIGUSR2');
    await until(() => said.test(text), 'what it says');
    expect(text).toMatch(/^spliceport\n\n3\n0\n0\n0\n0\n/);
    await run.letGo();
  });

  test.each([
    ['a file in no folder', () => join(fixture.caller.folder, 'nowhere', 'log')],
    [
      'a folder',
      () => (mkdirSync(join(fixture.caller.folder, 'dir')), join(fixture.caller.folder, 'dir')),
    ],
    ['a full disk', () => '/dev/full'],
  ])('does not stop a container if it goes to %s', async (kind, destination) => {
    await using run = start({ destination: destination() });
    await run.ready();
    expect(await askTcp({ port: fixture.port }, 'through')).toBe('through');
    const { code, stderr } = await run.letGo();
    expect(code).toBe(0);
    if (kind !== 'a full disk') expect(stderr).toMatch(/"level":"warn".*cannot log to \//);
  });

  test('does not stop a container if there is no journal', async () => {
    const journalSocket = join(fixture.caller.folder, 'nowhere', 'socket');
    await using run = start({ destination: 'journal', journalSocket });
    await run.ready();
    expect(await askTcp({ port: fixture.port }, 'through')).toBe('through');
    expect((await run.letGo()).stderr).toMatch(/cannot log to journal: ENOENT/);
  });

  test.skipIf(isMissing(socat, 'the journal'))(
    'goes to the journal in its own protocol, also after the journal restarts',
    async () => {
      const journalSocket = join(fixture.caller.folder, 'journal');
      const journal = await FakeJournal.start(journalSocket);
      await using run = start({ destination: 'journal', journalSocket });
      await run.ready();
      const ready = await journal.event('ready');
      expect(Object.fromEntries(ready)).toMatchObject({
        MESSAGE: '1 port is forwarded',
        PRIORITY: '6',
        SYSLOG_IDENTIFIER: 'spliceport',
        SPLICEPORT_CONTAINER: 'c0ffee',
        SPLICEPORT_PID: String(run.pid),
      });
      expect(JSON.parse(ready.get('SPLICEPORT_FORWARDS') ?? '')).toHaveLength(1);
      await journal[Symbol.asyncDispose]();
      // Nobody listens: the line is lost, and nothing else.
      await requestReload('seqpacket', reloadSocket(), '"nonsense"\n');
      await using next = await FakeJournal.start(journalSocket);
      await requestReload('seqpacket', reloadSocket(), '"nonsense"\n');
      expect((await next.event('reload-refused')).get('PRIORITY')).toBe('4');
      await run.letGo();
      expect((await next.event('closed')).get('MESSAGE')).toBe('ended');
    },
  );
});

describe('the log of spliceport forward', () => {
  const forward = (target: number, ...args: readonly string[]): CliRun =>
    new CliRun([
      'forward',
      `127.0.0.1:${fixture.port}:${target}`,
      '--pid',
      String(fixture.container.pid),
      ...args,
    ]);

  test('is lines of JSON on stderr', async () => {
    await using run = forward(fixture.echo.port);
    await run.until(() => run.stderr.includes('\n'), 'a line');
    const { stderr } = await run.end();
    expect(linesOf(stderr).map(({ event }) => event)).toEqual(['ready', 'closed']);
    for (const line of linesOf(stderr)) {
      expect(line).toMatchObject({ level: 'info', program: 'spliceport forward', pid: run.pid });
    }
  });

  test('is text of one level, if the options say so', async () => {
    await using run = forward(deadPort, '--log-format', 'text', '--log-level', 'warn');
    await run.until(() => run.stdout.includes('\n'), 'the forward');
    await endingOf(await connectTcp({ port: fixture.port }));
    const { stderr } = await run.end();
    expect(stderr).toMatch(/^\S+Z warn 1 connection to the container failed \(.*\)\n$/);
  });

  test('reports the first failed connection at once, with forward, target and reason', async () => {
    await using run = forward(deadPort, '--log-format', 'text', '--log-level', 'warn');
    await run.until(() => run.stdout.includes('\n'), 'the forward');
    await endingOf(await connectTcp({ port: fixture.port }));
    await run.until(() => run.stderr.includes('\n'), 'the first line');
    expect(run.stderr).toMatch(
      `tcp 127.0.0.1:${fixture.port} -> 127.0.0.1:${deadPort}: connection refused (ECONNREFUSED)`,
    );
    // What follows within the minute is gathered up to the end.
    for (let more = 0; more < 2; more++) await endingOf(await connectTcp({ port: fixture.port }));
    const { stderr } = await run.end();
    expect(stderr.split('\n')[1]).toMatch(/warn 2 connections to the container failed/);
  });

  test('is included in the events of --json', async () => {
    await using run = forward(deadPort, '--json');
    await run.event('ready');
    await endingOf(await connectTcp({ port: fixture.port }));
    await run.end();
    expect(await run.event('troubles')).toMatchObject({
      facts: {
        connectFailures: 1,
        failedForwards: [{ id: 1, connectError: 'ECONNREFUSED', connectFailures: 1 }],
      },
    });
  });
});
