// `spliceport forward --container`: finding a container by its name, and following it.

import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp } from '../helpers/tcp-client.js';
import { cli, CliRun } from './helpers/cli.js';

let container: Container;
let folder: string;
let port: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-cli-container-'));
  container = await Container.start();
  ({ port } = await container.tcp({ kind: 'echo' }));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await container.stop();
});

describe('spliceport forward --container', () => {
  /** Puts programs that play podman and docker in front of the PATH. */
  function engines(scripts: { readonly podman?: string; readonly docker?: string }) {
    const bin = mkdtempSync(join(folder, 'bin-'));
    for (const [name, body] of Object.entries(scripts)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    return { env: { PATH: bin } };
  }
  const echo = 'PATH=/usr/bin:/bin; echo';

  const id = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';

  test.each(['podman', 'docker'] as const)(
    'asks %s for the container’s process',
    async (engine) => {
      const answer = `test "$6" = web || exit 9\n${echo} ${container.pid} running ${id}`;
      const unknown = `${echo} 'Error: no such container' >&2; exit 125`;
      const options = engines({ podman: unknown, [engine]: answer });
      await using run = new CliRun(
        ['forward', '--json', `127.0.0.1:0:${port}`, '--container', 'web'],
        options,
      );
      const { forwards } = await run.event('ready');
      expect(await askTcp({ port: forwards[0]?.host.port ?? 0 }, 'through')).toBe('through');
      const { stdout } = await cli(['ls']);
      expect(stdout).toContain(id.slice(0, 12));
      expect(stdout).not.toContain(id);
    },
  );

  test.each([
    ['podman', 'web', 'web'],
    ['docker', 'db/web,web', 'web'],
  ] as const)('is listed with the id and the name that %s gives', async (engine, names, name) => {
    const options = engines({
      podman: `${echo} 'no such command' >&2; exit 125`,
      [engine]: `if test "$1" = ps; then ${echo} '${id} ${names}'; else ${echo} ${container.pid} running ${id}; fi`,
    });
    const args = ['forward', '--json', '127.0.0.1:0:80', '--container', id.slice(0, 5)];
    await using run = new CliRun(args, options);
    await run.event('ready');
    const { stdout } = await cli(['ls'], options);
    expect(stdout).toMatch(/ {2}web \(0123456789ab\) {2,}spliceport forward /);
    const { stdout: json } = await cli(['ls', '--json'], options);
    expect(JSON.parse(json)).toMatchObject([{ container: { id, name, pid: container.pid } }]);
    await cli(['drain', '--for', '0']);
    await run.outcome;
  });

  test('labels metrics with the container’s name, in one text for all forwarders', async () => {
    const options = engines({
      podman: `if test "$1" = ps; then ${echo} '${id} web'; else ${echo} ${container.pid} running ${id}; fi`,
    });
    await using named = new CliRun(
      ['forward', '--json', '127.0.0.1:0:80', '127.0.0.1:0:53/udp', '--container', 'web'],
      options,
    );
    await using other = new CliRun(
      ['forward', '--json', '127.0.0.1:0:80', '--pid', String(container.pid)],
      options,
    );
    await Promise.all([named.event('ready'), other.event('ready')]);
    const { stdout, stderr, code } = await cli(['metrics'], options);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const lines = stdout.trimEnd().split('\n');
    const samples = lines.filter((line) => !line.startsWith('#'));
    const own = [named, other].map(({ pid }) =>
      samples.filter((line) => line.includes(`forwarder="${pid}"`)),
    );
    expect(own.flat().length).toBe(samples.length);
    expect(own[0]?.filter((line) => !line.includes('{container_name="web",'))).toEqual([]);
    expect(own[1]?.filter((line) => line.includes('container_name'))).toEqual([]);
    expect(own[1]?.length).toBeGreaterThan(20);
    // One block for each metric, in which all its samples stand.
    const blocks = stdout.split(/^(?=# HELP )/m);
    const names = blocks.map((block) => block.split(' ')[2] ?? '');
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('spliceport_sessions_total');
    for (const [index, block] of blocks.entries()) {
      for (const line of block.trimEnd().split('\n').slice(2)) {
        expect(line).toMatch(new RegExp(`^${names[index]}(_bucket|_sum|_count)?\\{`));
      }
    }
  });

  test('is listed by the container’s id if the engine does not answer', async () => {
    const options = engines({
      podman: `if test "$1" = ps; then exec /bin/sleep 600; else ${echo} ${container.pid} running ${id}; fi`,
    });
    const args = ['forward', '--json', '127.0.0.1:0:80', '--container', 'web'];
    await using run = new CliRun(args, options);
    await run.event('ready');
    const outcome = await cli(['ls'], options);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(/ {2}0123456789ab {2,}spliceport forward /);
  });

  /** An engine with one container, `web`, which a test starts and ends. */
  function changingEngine() {
    const file = join(mkdtempSync(join(folder, 'state-')), 'answer');
    const options = engines({ podman: `PATH=/usr/bin:/bin; cat ${file}` });
    const answer = (text: string): void => {
      writeFileSync(`${file}.new`, `${text}\n`);
      renameSync(`${file}.new`, file);
    };
    return {
      options,
      runs: (pid: number) => answer(`${pid} running c0ffee${pid}`),
      ends: () => answer('0 exited c0ffee'),
    };
  }

  test('follows a container of that name when it is restarted', async () => {
    const first = await Container.start();
    const service = await first.tcp({ kind: 'echo' });
    const engine = changingEngine();
    engine.runs(first.pid);
    const args = ['forward', '--json', `127.0.0.1:0:${service.port}`, '--container', 'web'];
    await using run = new CliRun(args, engine.options);
    const { forwards } = await run.event('ready');
    const hostPort = forwards[0]?.host.port ?? 0;
    expect(await askTcp({ port: hostPort }, 'first')).toBe('first');

    engine.ends();
    await first.stop();
    expect(await run.event('container-ended')).toMatchObject({ container: 'web' });
    expect((await cli(['ls'])).stderr).toMatch(/: Container web has stopped\. /);

    await using second = await Container.start();
    await second.tcp({ kind: 'echo' }, { port: service.port });
    engine.runs(second.pid);
    expect(await run.event('container-back')).toMatchObject({ container: 'web', pid: second.pid });
    expect(await askTcp({ port: hostPort }, 'second')).toBe('second');
    const { stdout, stderr } = await cli(['ls']);
    expect(stderr).toBe('');
    expect(stdout).toContain(`c0ffee${second.pid}`.slice(0, 12));
    // What is added later leads there, too.
    const added = await cli(['add', `127.0.0.1:0:${service.port}`]);
    const addedPort = Number(/127\.0\.0\.1:(\d+) /.exec(added.stdout)?.[1]);
    expect(await askTcp({ port: addedPort }, 'added')).toBe('added');
    expect(await run.end()).toMatchObject({ code: 0 });
  });

  test('keeps the first namespace with --no-follow', async () => {
    const first = await Container.start();
    const engine = changingEngine();
    engine.runs(first.pid);
    const args = ['forward', '--json', '127.0.0.1:0:80', '--container', 'web', '--no-follow'];
    await using run = new CliRun(args, engine.options);
    await run.event('ready');
    await first.stop();
    engine.runs(container.pid);
    // Longer than it takes to look, by another forwarder that follows.
    await using other = await Container.start();
    const second = changingEngine();
    second.runs(other.pid);
    await using follower = new CliRun(args.slice(0, -1), second.options);
    await follower.event('ready');
    await other.stop();
    await follower.event('container-ended');
    expect(run.events.map(({ event }) => event)).toEqual(['ready']);
  });

  test.each([
    [
      'that no engine knows',
      { podman: `${echo} 'Error: none' >&2; exit 125`, docker: `${echo} 'No such' >&2; exit 1` },
      /^spliceport: no container web\npodman: Error: none\ndocker: No such\n/,
    ],
    [
      'that does not run',
      { docker: `${echo} 0 exited 0123` },
      /^spliceport: container web is not running \(exited\)\nStart it: docker start web\n/,
    ],
    ['where there is no engine', {}, /^spliceport: neither podman nor docker is in PATH\n.*--pid/],
    [
      'that is on another machine',
      { podman: `${echo} 4194305 running 0123` },
      /^spliceport: process 4194305 of container web is not on this machine\n/,
    ],
  ])('exits with 3 for a container %s', async (_, scripts, text) => {
    const outcome = await cli(['forward', '8080:80', '--container', 'web'], engines(scripts));
    expect(outcome).toMatchObject({ code: 3, stdout: '' });
    expect(outcome.stderr).toMatch(text);
  });
});
