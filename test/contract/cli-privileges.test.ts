// `spliceport forward` as a user without privileges, to a container of the same user: a process in
// user and network namespaces of its own, as `unshare -Urn` makes them.

import { spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installPackage } from '../helpers/installed-package.js';
import { isAlive } from '../helpers/process-facts.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { isMissing, setpriv } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { cli, CliRun } from './helpers/cli.js';
import { Terminal, tmux } from './helpers/tmux.js';
import { powerlessRoot, startUnprivileged } from './helpers/unprivileged.js';

/** A copy of the package that every user may read. */
let installed: string;

beforeAll(() => {
  installed = mkdtempSync(join(tmpdir(), 'spliceport-cli-privileges-'));
  installPackage(installed);
});
afterAll(() => rmSync(installed, { recursive: true }));

/** Only root of more than one user can become another. */
function isOneUserOnly(): boolean {
  const [, , count = ''] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  if (process.getuid?.() === 0 && Number(count) > 65_534) return false;
  process.stderr.write('skipped: spliceport as another user; run the tests as root\n');
  return true;
}

const users = [
  {
    who: 'a user who is not root',
    uid: 65_534,
    become: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  },
  {
    who: 'a root without capabilities',
    uid: 0,
    become: powerlessRoot,
  },
];

const lacking = isMissing(setpriv, 'spliceport without privileges');

for (const { who, uid, become } of users) {
  describe.skipIf(lacking || (uid !== 0 && isOneUserOnly()))(`spliceport for ${who}`, () => {
    let runtime: string;
    let container: ChildProcess;

    /** As the user, with a control folder of the user's. */
    const options = () => ({
      command: [...become, process.execPath, join(installed, 'lib/cli/main.js')],
      env: { SPLICEPORT_CONTROL_DIR: '', XDG_RUNTIME_DIR: runtime },
    });
    const forward = (...args: readonly string[]): CliRun =>
      new CliRun(['forward', '--json', '127.0.0.1:0:7', ...args], options());
    const toPid = (): string[] => ['--pid', String(container.pid)];

    beforeAll(async () => {
      runtime = mkdtempSync(join(tmpdir(), 'spliceport-runtime-'));
      chownSync(runtime, uid, uid);
      chmodSync(runtime, 0o700);
      container = await startUnprivileged(become);
    });
    afterAll(() => {
      container.stdin?.end();
      rmSync(runtime, { recursive: true });
    });

    test.each([
      ['a process', toPid],
      ['its namespace', () => ['--netns', `/proc/${container.pid ?? 0}/ns/net`]],
    ])('forwards to a container given by %s, and is listed outside', async (_, target) => {
      await using run = forward(...target());
      const { forwards, pid, controlSocket } = await run.event('ready');
      const port = forwards[0]?.host.port ?? 0;
      expect(await askTcp({ port }, 'through')).toBe('through');
      // The one that forwards is another process, in the container's user namespace.
      expect(pid).not.toBe(run.pid);
      expect(controlSocket).toBe(`${runtime}/spliceport/${pid}.sock`);
      const { stdout, code } = await cli(['ls', '--quiet'], options());
      expect({ stdout, code }).toEqual({ stdout: `${pid}/1\n`, code: 0 });
      expect(await run.end()).toMatchObject({ code: 0, signal: null });
      expect(run.events.at(-1)?.event).toBe('closed');
      expect(await isRefused({ port })).toBe(true);
      expect(isAlive(pid)).toBe(false);
    });

    test('can be changed and drained from outside', async () => {
      await using run = forward(...toPid());
      const { pid } = await run.event('ready');
      const added = await cli(['add', '127.0.0.1:0:7'], options());
      expect(added).toMatchObject({ code: 0, stderr: '' });
      expect(added.stdout).toMatch(new RegExp(`^${pid}/2  tcp  127\\.0\\.0\\.1:\\d+ -> `));
      expect(await cli(['rm', `${pid}/1`], options())).toMatchObject({ code: 0 });
      expect(await cli(['drain'], options())).toMatchObject({ code: 0 });
      expect(await run.outcome).toMatchObject({ code: 0 });
    });

    test('takes one signal as one, not as two', async () => {
      await using run = forward('--drain', '3600', ...toPid());
      const { forwards } = await run.event('ready');
      const client = await connectTcp({ port: forwards[0]?.host.port ?? 0 });
      client.write('before');
      expect(await nextText(client)).toBe('before');
      run.kill('SIGINT');
      await run.event('draining');
      client.write('after');
      expect(await nextText(client)).toBe('after');
      expect(await run.end('SIGINT')).toMatchObject({ code: 0 });
      client.destroy();
    });

    test.skipIf(isMissing(tmux, 'Ctrl-C in a terminal'))(
      'takes Ctrl-C as one signal, although it reaches every process of the terminal',
      async () => {
        const { command, env } = options();
        using terminal = await Terminal.open({ columns: 100, rows: 20 }, env);
        const args = ['--drain', '3600', '127.0.0.1:0:7', ...toPid()];
        terminal.type([...command, 'forward', ...args].join(' '));
        await terminal.untilShows(/0 open, 0 sessions in all/);
        const port = Number(/127\.0\.0\.1:(\d+) -> /.exec(terminal.lines().join('\n'))?.[1]);
        const client = await connectTcp({ port });
        client.write('before');
        expect(await nextText(client)).toBe('before');
        terminal.keys('C-c');
        await terminal.untilShows(/1 session may continue for 3[56]\d\d seconds/);
        // Two signals would have ended the session by now, or soon.
        await terminal.untilShows(/1 session may continue for 359[0-8] seconds/);
        client.write('after');
        expect(await nextText(client)).toBe('after');
        terminal.keys('C-c');
        await terminal.untilShows(/^1 session, \d+ B to the container/m);
        client.destroy();
      },
    );

    test('leaves no process when it is killed', async () => {
      await using run = forward(...toPid());
      const { pid, forwards } = await run.event('ready');
      await run.end('SIGKILL');
      await until(() => !isAlive(pid), 'the other process ends');
      expect(await isRefused({ port: forwards[0]?.host.port ?? 0 })).toBe(true);
    });

    test('exits with the code of the program that it ran', async () => {
      await using run = forward(...toPid());
      const { forwards } = await run.event('ready');
      const port = forwards[0]?.host.port ?? 0;
      const taken = await cli(['forward', `127.0.0.1:${port}:7`, ...toPid()], options());
      expect(taken.code).toBe(5);
      expect(taken.stderr).toMatch(
        /^spliceport: (bind|listen) EADDRINUSE.*\nProcess \d+ uses port /,
      );
    });

    test('exits with 4 for another user’s namespace, with a hint', async () => {
      const outcome = await cli(['forward', '0:80', '--netns', '/proc/self/ns/net'], options());
      expect(outcome).toMatchObject({ code: 4, stdout: '' });
      expect(outcome.stderr).toMatch(
        /^spliceport: cannot enter the network namespace \/proc\/self\/ns\/net\n.*--pid PID.*sudo spliceport forward 0:80/,
      );
    });

    test('reports that nsenter is missing, and names its package', async () => {
      const { command, env } = options();
      const [file = ''] = become;
      const absolute = spawnSync('sh', ['-c', `command -v ${file}`], { encoding: 'utf8' });
      const outcome = await cli(['forward', '0:80', ...toPid()], {
        command: [absolute.stdout.trim(), ...command.slice(1)],
        env: { ...env, PATH: runtime },
      });
      expect(outcome.code).toBe(1);
      expect(outcome.stderr).toMatch(/cannot run nsenter.*\n.*util-linux/);
    });
  });
}
