// `spliceport forward --on-demand`: a container that its first client starts, and that is stopped
// when nobody uses it.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { cli, CliRun } from './helpers/cli.js';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'spliceport-cli-on-demand-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** A podman with one container, `web`, which runs from the time of `podman start web`. */
function engine() {
  const bin = mkdtempSync(join(folder, 'bin-'));
  const [state, next] = [join(bin, 'state'), join(bin, 'next')];
  const answer = (file: string, pid: number): void =>
    writeFileSync(file, `${pid} ${pid === 0 ? 'exited' : 'running'} c0ffee${pid}\n`);
  answer(state, 0);
  const script = `#!/bin/sh
case "$1 $2" in
  'start web') cat ${next} > ${state} ;;
  'stop web') echo '0 exited c0ffee' > ${state} ;;
  *) cat ${state} ;;
esac
`;
  writeFileSync(join(bin, 'podman'), script);
  chmodSync(join(bin, 'podman'), 0o755);
  return {
    options: { env: { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` } },
    startsAs: ({ pid }: Container) => answer(next, pid),
    ends: () => answer(state, 0),
    runs: ({ pid }: Container) => answer(state, pid),
  };
}

const count = (run: CliRun, name: string): number =>
  run.events.filter(({ event }) => event === name).length;
const seen = (run: CliRun, name: string, times: number): Promise<unknown> =>
  until(() => count(run, name) === times, `${times} × ${name}`, 20_000);

test('the first client starts a container, which is stopped when it is idle, and started again', async () => {
  await using first = await Container.start();
  const { port } = await first.tcp({ kind: 'echo' });
  await using second = await Container.start();
  await second.tcp({ kind: 'echo' }, { port });
  const podman = engine();
  podman.startsAs(first);
  await using run = new CliRun(
    [
      ...['forward', '--json', `127.0.0.1:0:${port}`, '--container', 'web'],
      ...['--on-demand', 'podman', '--idle-stop', '0.5s'],
    ],
    podman.options,
  );
  const { forwards } = await run.event('ready');
  const host = { port: forwards[0]?.host.port ?? 0 };
  expect((await cli(['ls'], podman.options)).stderr).toContain('Its next client starts it.');
  expect(count(run, 'container-starting')).toBe(0);

  expect(await askTcp(host, 'first')).toBe('first');
  expect(await run.event('container-starting')).toMatchObject({ command: 'podman start web' });
  expect(await run.event('container-back')).toMatchObject({ pid: first.pid });
  expect((await cli(['ls'], podman.options)).stderr).toBe('');
  expect(await run.event('container-stopping')).toMatchObject({ command: 'podman stop web' });
  podman.startsAs(second);
  await first.stop();
  await seen(run, 'container-ended', 1);

  expect(await askTcp(host, 'second')).toBe('second');
  expect(count(run, 'container-starting')).toBe(2);
  expect(await run.end()).toMatchObject({ code: 0 });
});

test('a container that runs already is used, and started again after it has ended by itself', async () => {
  const first = await Container.start();
  const { port } = await first.tcp({ kind: 'echo' });
  const podman = engine();
  podman.runs(first);
  await using run = new CliRun(
    ['forward', '--json', `127.0.0.1:0:${port}`, '--container', 'web', '--on-demand', 'podman'],
    podman.options,
  );
  const { forwards } = await run.event('ready');
  const host = { port: forwards[0]?.host.port ?? 0 };
  expect(await askTcp(host, 'first')).toBe('first');
  expect(count(run, 'container-starting')).toBe(0);
  podman.ends();
  await first.stop();
  await seen(run, 'container-ended', 1);
  await using second = await Container.start();
  await second.tcp({ kind: 'echo' }, { port });
  podman.startsAs(second);
  expect(await askTcp(host, 'second')).toBe('second');
  expect(count(run, 'container-starting')).toBe(1);
  expect(count(run, 'container-stopping')).toBe(0);
});

test('a command that fails is reported, and its client is reset when the time is over', async () => {
  await using run = new CliRun(
    [
      ...['forward', '--json', '127.0.0.1:0:80', '--container', 'web'],
      ...['--on-demand', 'exit 7', '--wait-for-server', '1s'],
    ],
    engine().options,
  );
  const { forwards } = await run.event('ready');
  const host = { port: forwards[0]?.host.port ?? 0 };
  const before = performance.now();
  await expect(askTcp(host, 'x')).rejects.toThrow();
  expect(performance.now() - before).toBeGreaterThan(900);
  expect(await run.event('container-command-failed')).toMatchObject({
    ...{ container: 'web', command: 'exit 7', reason: 'it has exited with 7' },
  });
  await expect(askTcp(host, 'x')).rejects.toThrow();
  await seen(run, 'container-starting', 2);
});

test('a client that is not let in starts nothing', async () => {
  await using run = new CliRun(
    [
      ...['forward', '--json', '127.0.0.1:0:80', '--container', 'web', '--deny', '127.0.0.1'],
      ...['--on-demand', 'podman'],
    ],
    engine().options,
  );
  const { forwards } = await run.event('ready');
  await expect(askTcp({ port: forwards[0]?.host.port ?? 0 }, 'x')).rejects.toThrow();
  // Looked for less often than clients are.
  expect(await run.event('troubles')).toMatchObject({ facts: { sessionsDenied: 1 } });
  expect(count(run, 'container-starting')).toBe(0);
});

test.each([
  [['--idle-stop', '1m'], /--idle-stop and --stop require --on-demand/],
  [['--pid', '1', '--on-demand', 'podman'], /--on-demand requires --container/],
  [['--container', 'web', '--no-follow', '--on-demand', 'podman'], /excludes --no-follow/],
  [
    ['--container', 'web', '--on-demand', 'run-it', '--idle-stop', '1m'],
    /--idle-stop requires --stop COMMAND with "run-it"/,
  ],
  [['--container', 'web', '--on-demand', 'podman', '--idle-stop', '2d'], /such as 30s, 10m or 1h/],
])('%j is a usage error', async (args, text) => {
  const outcome = await cli(['forward', '127.0.0.1:0:80', ...args]);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toMatch(text);
});
