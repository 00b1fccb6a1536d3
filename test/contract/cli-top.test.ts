// `spliceport top`, and the live line of `spliceport forward`, in a real terminal.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { cli, CliRun, controlFolder, program } from './helpers/cli.js';
import { Terminal, tmux } from './helpers/tmux.js';

const command = `${process.execPath} ${program}`;
const FORWARDS = 30;

let container: Container;
let port: number;
let run: CliRun;
let hostPorts: number[];
const clients: Socket[] = [];

const open = (
  columns = 110,
  rows = 12,
  env: Readonly<Record<string, string>> = {},
): Promise<Terminal> =>
  Terminal.open({ columns, rows }, { SPLICEPORT_CONTROL_DIR: controlFolder, ...env });

describe.skipIf(isMissing(tmux, 'spliceport in a terminal'))('spliceport top', () => {
  beforeAll(async () => {
    container = await Container.start();
    ({ port } = await container.tcp({ kind: 'echo' }));
    const specs = new Array<string>(FORWARDS).fill(`127.0.0.1:0:${port}`);
    run = new CliRun(['forward', '--json', ...specs, '--pid', String(container.pid)]);
    const { forwards } = await run.event('ready');
    hostPorts = forwards.map(({ host }) => host.port);
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  afterAll(async () => {
    await run.end();
    await container.stop();
  });

  /** `top`, up to its first rows. */
  async function startTop(terminal: Terminal, ...args: readonly string[]): Promise<void> {
    await terminal.runLine(`${command} top --interval 0.2 ${args.join(' ')}; echo "code $?"`);
    await terminal.untilShows(/^\d+\/\d+ +tcp +127\.0\.0\.1:\d+ +0 B/m);
  }
  const ids = (lines: readonly string[]): number[] =>
    lines.flatMap((line) => {
      const number = /^\d+\/(\d+) /.exec(line)?.[1];
      return number === undefined ? [] : [Number(number)];
    });

  /** Opens connections until the end of the test. */
  async function hold(hostPort: number, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const client = await connectTcp({ port: hostPort });
      client.write('word');
      await nextText(client);
      clients.push(client);
    }
  }

  test('fills the alternate screen, and gives the terminal back at q', async () => {
    using terminal = await open();
    await terminal.runLine('echo before');
    await startTop(terminal);
    expect(terminal.fact('alternate_on')).toBe('1');
    expect(terminal.fact('cursor_flag')).toBe('0');
    const lines = terminal.lines();
    expect(lines[0]).toMatch(/^30 forwards {3}to container 0 B\/s {3}to host 0 B\/s {3}0 open/);
    expect(lines[1]).toMatch(
      /^ID +PROTO +HOST +TO CONTAINER +TO HOST▼ +OPEN +CONN\/S +FAILED +TARGET/,
    );
    expect(ids(lines)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(lines[11]).toMatch(/^1-9 of 30 {3}q quit/);
    terminal.keys('q');
    const after = await terminal.untilShows(/^code 0$/m);
    expect(after).toContain('before');
    expect(terminal.fact('alternate_on')).toBe('0');
    expect(terminal.fact('cursor_flag')).toBe('1');
    await terminal.runLine('echo typed');
    await terminal.untilShows(/^typed$/m);
  });

  test('shows rates, sessions and connects', async () => {
    using terminal = await open();
    await startTop(terminal, '--sort open');
    await hold(hostPorts[11] ?? 0, 3);
    const lines = await terminal.untilShows(/^\d+\/12 .* 3 +\d+ +0 {2}/m, '3 open sessions');
    expect(ids(lines)[0]).toBe(12);
    expect(lines[0]).toContain('3 open');
    const payload = 'x'.repeat(50_000);
    const stop = new AbortController();
    const traffic = (async () => {
      while (!stop.signal.aborted) await askTcp({ port: hostPorts[4] ?? 0 }, payload);
    })();
    try {
      await terminal.untilShows(
        /^\d+\/5 .*\d+ [kM]B\/s +[\d.]+ [kM]B\/s +\d+ +[1-9]\d* /m,
        'rates',
      );
    } finally {
      stop.abort();
      await traffic;
    }
  });

  test('sorts by the column that the arrow keys choose, or in reverse', async () => {
    using terminal = await open();
    await startTop(terminal, '--sort open');
    await hold(hostPorts[6] ?? 0, 1);
    await terminal.untilShows((text) => ids(text.split('\n'))[0] === 7, 'the busy one first');
    terminal.keys('Left', 'Left', 'Left', 'Left');
    await terminal.untilShows(/^ID▼/m);
    await terminal.untilShows((text) => ids(text.split('\n'))[0] === 1, 'the first one first');
    terminal.keys('r');
    const lines = await terminal.untilShows(/^ID▲/m);
    expect(ids(lines)[0]).toBe(FORWARDS);
    terminal.keys('Right');
    expect(await terminal.untilShows(/HOST▼/)).toSatisfy((after: string[]) => {
      const [first = 0] = ids(after);
      return hostPorts[first - 1] === Math.min(...hostPorts);
    });
  });

  test('scrolls by rows and pages, but not past the ends', async () => {
    using terminal = await open();
    await startTop(terminal, '--sort id');
    const first = (number: number): Promise<string[]> =>
      terminal.untilShows((text) => ids(text.split('\n'))[0] === number, `row ${number} first`);
    terminal.keys('Down', 'Down');
    await first(3);
    terminal.keys('PageDown');
    await first(12);
    terminal.keys('End');
    expect(ids(await first(22)).at(-1)).toBe(FORWARDS);
    terminal.keys('PageDown', 'Up');
    await first(21);
    terminal.keys('Home', 'Up', 'Down');
    await first(2);
  });

  test('shows its keys at ?, and the forwards again at any key', async () => {
    using terminal = await open();
    await terminal.runLine(`${command} top --sort id`);
    await terminal.untilShows(/\/1 /);
    for (const back of ['?', 'r']) {
      terminal.keys('?');
      const lines = await terminal.untilShows(/^q, Ctrl-C +quit$/m);
      expect(lines.filter((line) => /^\d+\/\d+ /.test(line))).toEqual([]);
      terminal.keys(back);
      await terminal.untilShows(/^\d+\/\d+ /m);
    }
  });

  test('fits itself to another size', async () => {
    using terminal = await open();
    await startTop(terminal, '--sort id');
    terminal.resize({ columns: 60, rows: 24 });
    const lines = await terminal.untilShows(/1-21 of 30/);
    expect(lines[0]).toMatch(/^30 forwards.*…$/);
    expect(ids(lines)).toHaveLength(21);
    expect(lines[1]).toMatch(/TO CONTAINER +TO HOST/);
    terminal.resize({ columns: 40, rows: 10 });
    const narrow = await terminal.untilShows(/1-7 of 30/);
    expect(narrow[1]).toMatch(/^ID▼ +TO CONTAINER +TO HOST/);
    expect(narrow[2]).toMatch(/^\d+\/1 +0 B\/s +0 B\/s/);
    terminal.resize({ columns: 130, rows: 8 });
    expect(ids(await terminal.untilShows(/1-5 of 30/))).toHaveLength(5);
    terminal.keys('q');
    await terminal.untilShows(/code 0/);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'gives the terminal back at %s',
    async (signal) => {
      using terminal = await open();
      await startTop(terminal);
      process.kill(await topOf(terminal), signal);
      await terminal.untilShows(/^code 0$/m);
      expect(terminal.fact('alternate_on')).toBe('0');
      expect(terminal.fact('cursor_flag')).toBe('1');
      await terminal.runLine('echo typed');
      await terminal.untilShows(/^typed$/m);
    },
  );

  test('gives the terminal back at Ctrl-Z, and takes it again', async () => {
    using terminal = await open();
    await terminal.runLine('set -m');
    await startTop(terminal);
    terminal.keys('C-z');
    await until(() => terminal.fact('alternate_on') === '0', 'the shell is back');
    await terminal.untilShows(/Stopped/);
    await terminal.runLine('fg');
    await until(() => terminal.fact('alternate_on') === '1', 'top is back');
    await terminal.untilShows(/1-9 of 30/);
    terminal.keys('q');
    await until(() => terminal.fact('alternate_on') === '0', 'the end');
  });

  test('gives the terminal back when it crashes, and shows why', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spliceport-top-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    using terminal = await open();
    const fifo = join(folder, 'crash');
    execFileSync('mkfifo', [fifo]);
    const module = join(folder, 'crash.mjs');
    writeFileSync(
      module,
      `import { readFile } from 'node:fs';
      readFile('${fifo}', () => { throw new Error('planned'); });`,
    );
    await terminal.runLine(`NODE_OPTIONS='--import ${module}' ${command} top`);
    await terminal.untilShows(/1-9 of 30/);
    writeFileSync(fifo, 'now');
    await terminal.untilShows(/Error: planned/);
    expect(terminal.fact('alternate_on')).toBe('0');
    expect(terminal.fact('cursor_flag')).toBe('1');
    await terminal.runLine('echo typed');
    await terminal.untilShows(/^typed$/m);
  });

  test('reports that there are no forwards', async () => {
    using terminal = await open(80, 10, { SPLICEPORT_CONTROL_DIR: '/nowhere' });
    await terminal.runLine(`${command} top`);
    await terminal.untilShows(/No forward of this user is running/);
    terminal.keys('C-c');
    await until(() => terminal.fact('alternate_on') === '0', 'the end');
  });

  test('exits with 2 without a terminal', async () => {
    const { code, stderr } = await cli(['top']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^spliceport: top needs a terminal\n.*stats --json/);
  });

  /** The pid of the program in the terminal, which its shell waits for. */
  async function topOf(terminal: Terminal): Promise<number> {
    const { readFileSync } = await import('node:fs');
    const shell = terminal.fact('pane_pid');
    return Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim());
  }
});

describe.skipIf(isMissing(tmux, 'spliceport in a terminal'))('spliceport forward', () => {
  test('shows a line of throughput in a terminal, and updates it in place', async () => {
    await using box = await Container.start();
    const { port: target } = await box.tcp({ kind: 'echo' });
    using terminal = await open(100, 12);
    await terminal.runLine(
      `${command} forward --interval 0.2 --drain 60 127.0.0.1:0:${target} --pid ${box.pid}`,
    );
    const lines = await terminal.untilShows(/to container 0 B\/s {3}to host 0 B\/s {3}0 open/);
    const hostPort = Number(/127\.0\.0\.1:(\d+) -> /.exec(lines.join('\n'))?.[1]);
    const client = await connectTcp({ port: hostPort });
    client.write('word');
    await nextText(client);
    const counted = await terminal.untilShows(/1 open, 1 session in all$/m);
    expect(counted.filter((line) => line.includes('to container'))).toHaveLength(1);
    expect((await cli(['add', `127.0.0.1:0:${target}`])).code).toBe(0);
    await terminal.untilShows(/^added {2}tcp.*\nto container/m);
    expect(terminal.lines().join('\n')).toMatch(
      /^This is forwarder \d+\. Press Ctrl-C to stop it\.$/m,
    );
    terminal.resize({ columns: 40, rows: 12 });
    const narrow = await terminal.untilShows(/to container .*…$/m);
    expect(narrow.filter((line) => /session|to host/.test(line))).toHaveLength(1);
    terminal.resize({ columns: 100, rows: 12 });
    terminal.keys('C-c');
    await terminal.untilShows(
      /^1 session may continue for \d+ seconds; press Ctrl-C to end them now$/m,
    );
    terminal.keys('C-c');
    const after = await terminal.untilShows(/^1 session, 4 B to the container, 4 B to the host$/m);
    expect(after.filter((line) => /to container \d|may continue/.test(line))).toEqual([]);
    client.destroy();
  });

  test('exits when its terminal is closed', async () => {
    await using box = await Container.start();
    const { port: target } = await box.tcp({ kind: 'echo' });
    let hostPort: number;
    {
      using terminal = await open(100, 12);
      await terminal.runLine(`${command} forward 127.0.0.1:0:${target} --pid ${box.pid}`);
      // The screen fills from above: neither shows that the other is there.
      const lines = await terminal.untilShows(/127\.0\.0\.1:\d+ -> [^]*0 open/);
      hostPort = Number(/127\.0\.0\.1:(\d+) -> /.exec(lines.join('\n'))?.[1]);
    }
    await until(() => isRefused({ port: hostPort }), 'the end of the forward');
  });

  test.each([
    ['in red on a terminal', {}, true],
    ['without color where NO_COLOR is set', { NO_COLOR: '1' }, false],
    ['without color on a terminal that has none', { TERM: 'dumb' }, false],
  ])('prints an error %s', async (_, env, isRed) => {
    using terminal = await open(100, 12, env);
    await terminal.runLine(`${command} forward 8080:80`);
    await terminal.untilShows(/no container given/);
    expect(terminal.colors().includes('\x1b[31m')).toBe(isRed);
  });
});
