// Lines for sessions that have ended, in the logs of the helper and of `spliceport forward`.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askTcp, connectTcp, endingOf, isServed } from '../helpers/tcp-client.js';
import { staysTrueFor, until } from '../helpers/wait.js';
import { CliRun } from './helpers/cli.js';
import { Run } from './helpers/run.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();
// Nothing else lives in the container's namespace, so nobody listens here.
const DEAD_PORT = 80;

interface Line {
  readonly event: string;
  readonly [fact: string]: unknown;
}

function sessionsOf(text: string): Line[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
    .filter(({ event }) => event === 'session');
}

/** Says five bytes, gets them back, and ends. */
const talk = async () => expect(await askTcp({ port: fixture.port }, 'hello')).toBe('hello');

/** What a line has of a session that has said five bytes each way. */
const served = () => ({
  protocol: 'tcp',
  client: { address: '127.0.0.1', port: expect.any(Number) as number },
  target: { address: '127.0.0.1', port: fixture.echo.port },
  bytesToContainer: 5,
  bytesToHost: 5,
  durationMs: expect.any(Number) as number,
  connectMs: expect.any(Number) as number,
  ending: 'fin',
});

describe('the helper’s log', () => {
  const logFile = () => join(fixture.caller.folder, 'log');
  const log = () => (existsSync(logFile()) ? readFileSync(logFile(), 'utf8') : '');

  function start(settings: object, containerPort = fixture.echo.port): Run {
    const path = join(fixture.caller.folder, 'settings.json');
    writeFileSync(
      path,
      JSON.stringify({ defaults: { log: { destination: logFile(), ...settings } } }),
    );
    const config = fixture.caller.config([fixture.mapping({ container_port: containerPort })], {
      RootlessCNI: true,
    });
    return new Run(config, {
      env: {
        ...process.env,
        SPLICEPORT_CONFIG: path,
        SPLICEPORT_CONTROL_DIR: '/dev/null/control',
      },
    });
  }

  test('has a line for a session that has ended, if it is configured', async () => {
    await using run = start({ sessions: true });
    await run.ready();
    await talk();
    await until(() => sessionsOf(log()).length > 0, 'the line');
    expect(sessionsOf(log())).toEqual([
      expect.objectContaining({ level: 'info', container: 'c0ffee', forwardId: 1, ...served() }),
    ]);
  });

  test('has a line for a session that had no server, with the reason, also as text', async () => {
    await using run = start({ sessions: true, format: 'text' }, DEAD_PORT);
    await run.ready();
    await endingOf(await connectTcp({ port: fixture.port }));
    await until(() => log().includes('connect-failed'), 'the line');
    expect(log()).toMatch(
      /info tcp 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:80: connect-failed \(ECONNREFUSED\), 0 bytes to the container, 0 to the host, [\d.]+ ms\n/,
    );
  });

  test('has a line for a session that ends with the helper', async () => {
    await using run = start({ sessions: true });
    await run.ready();
    const client = await connectTcp({ port: fixture.port });
    client.on('error', () => undefined);
    client.write('hello');
    await new Promise((resume) => client.once('data', resume));
    await run.letGo();
    await until(() => sessionsOf(log()).length > 0, 'the line');
    expect(sessionsOf(log())).toMatchObject([{ ending: 'removed', bytesToHost: 5 }]);
  });

  test.each([
    ['it is not configured', {}],
    ['its level does not have them', { sessions: true, level: 'warn' }],
  ])('has no line for a session if %s', async (_, settings) => {
    await using run = start(settings);
    await run.ready();
    await talk();
    await run.letGo();
    await staysTrueFor(300, () => sessionsOf(log()).length === 0, 'no line of a session');
  });
});

describe('spliceport forward', () => {
  const forward = (target: number, ...args: readonly string[]): CliRun =>
    new CliRun([
      'forward',
      `127.0.0.1:${fixture.port}:${target}`,
      '--pid',
      String(fixture.container.pid),
      ...args,
    ]);

  test('logs each session that has ended with --log-sessions', async () => {
    await using run = forward(fixture.echo.port, '--log-sessions');
    await run.until(() => run.stdout.includes('\n'), 'the forward');
    await talk();
    await run.until(() => sessionsOf(run.stderr).length > 0, 'the line');
    expect(sessionsOf(run.stderr)).toEqual([
      expect.objectContaining({ forwardId: 1, ...served() }),
    ]);
  });

  test('logs sessions as text, and rejected clients too', async () => {
    const args = ['--log-sessions', '--log-format', 'text', '--deny', '127.0.0.0/8'];
    await using run = forward(fixture.echo.port, ...args);
    await run.until(() => run.stdout.includes('\n'), 'the forward');
    expect(await isServed({ port: fixture.port })).toBe(false);
    await run.until(() => run.stderr.includes(': denied'), 'the line');
    expect(run.stderr).toMatch(/info tcp 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+: denied, 0 bytes/);
  });

  test('prints ended sessions as events of --json, at any level of the log', async () => {
    await using run = forward(
      fixture.echo.port,
      '--log-sessions',
      '--json',
      '--log-level',
      'error',
    );
    await run.event('ready');
    await talk();
    expect(await run.event('session')).toMatchObject({ forwardId: 1, ...served() });
  });

  test.each([
    ['without --log-sessions', []],
    ['if the level has no such lines', ['--log-sessions', '--log-level', 'warn']],
  ])('logs no session %s', async (_, args) => {
    await using run = forward(fixture.echo.port, ...args);
    await run.until(() => run.stdout.includes('\n'), 'the forward');
    await talk();
    expect(sessionsOf((await run.end()).stderr)).toEqual([]);
  });
});
