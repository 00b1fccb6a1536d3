// `spliceport ls` and `status`, about helpers that do not answer at a control socket.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import { cli, type CliOutcome } from './helpers/cli.js';
import { freePort, podmanMapping, Run, shimExecutable } from './helpers/run.js';
import { ShimRuns } from './helpers/shim-runs.js';

const ownProcess = join(shimExecutable, '../own-process/rootlessport');

let runs: ShimRuns;
beforeEach(() => {
  runs = new ShimRuns('/proc/self/ns/net');
});
afterEach(() => runs[Symbol.asyncDispose]());

/** Control sockets are in the usual folder. */
const env = () => ({ XDG_RUNTIME_DIR: runs.folder, SPLICEPORT_CONTROL_DIR: '' });

async function start(settings: object, command = shimExecutable): Promise<Run> {
  const file = join(runs.folder, 'settings.json');
  writeFileSync(file, JSON.stringify({ defaults: settings }));
  const config = runs.caller.config([podmanMapping({ host_port: await freePort() })], {
    RootlessCNI: true,
  });
  const run = new Run(config, {
    command: [command],
    env: { ...process.env, ...env(), SPLICEPORT_CONFIG: file },
  });
  return run.ready();
}

/** What stderr says of a process; others' helpers may run at the same time. */
function linesAbout(pid: number, { stderr }: CliOutcome): string[] {
  return stderr.split('\n').filter((line) => new RegExp(`\\b${pid}\\b`).test(line));
}

const withoutSocket = (pid: number) =>
  `Skipped forwarder ${pid}: it has no control socket in the usual folders`;

describe('spliceport ls', () => {
  test.each([
    ['a shim', shimExecutable],
    ['a process of its own', ownProcess],
  ])('reports a helper without a control socket: %s', async (_, command) => {
    await using run = await start({ controlSocket: false }, command);
    const listed = await cli(['ls', '--quiet'], { env: env() });
    expect(linesAbout(run.pid, listed)).toEqual([withoutSocket(run.pid)]);
    expect(listed.stdout).not.toContain(String(run.pid));
    expect(listed.code).toBe(0);
  });

  test('reports a shim that is stopped, once', async () => {
    await using run = await start({});
    const socket = join(runs.folder, 'spliceport', `${run.pid}.sock`);
    await until(() => existsSync(socket), 'its control socket');
    process.kill(run.pid, 'SIGSTOP');
    const lines = linesAbout(run.pid, await cli(['ls'], { env: env() }));
    expect(lines).toEqual([
      expect.stringMatching(
        new RegExp(`^Skipped forwarder ${run.pid}: .*no answer within 2000 ms$`),
      ),
    ]);
  });

  test('has no line about a shim that answers, or the resident', async () => {
    await using run = await start({});
    const resident = await runs.resident();
    const socket = join(runs.folder, 'spliceport', `${run.pid}.sock`);
    await until(() => existsSync(socket), 'its control socket');
    const listed = await cli(['ls', '--quiet'], { env: env() });
    expect(listed.stdout).toBe(`${run.pid}/1\n`);
    expect(linesAbout(run.pid, listed)).toEqual([]);
    expect(linesAbout(resident, listed)).toEqual([]);
  });

  test('looks only in the folder that is named, if one is', async () => {
    await using run = await start({ controlSocket: false });
    const listed = await cli(['ls'], { env: { SPLICEPORT_CONTROL_DIR: runs.folder } });
    expect(linesAbout(run.pid, listed)).toEqual([]);
  });
});

test('spliceport status lists a helper without a control socket, and not the resident', async () => {
  await using run = await start({ controlSocket: false });
  const resident = await runs.resident();
  const { stdout } = await cli(['status', '--json'], { env: env() });
  const { containers } = JSON.parse(stdout) as {
    readonly containers: readonly { readonly pid: number }[];
  };
  expect(containers.filter(({ pid }) => [run.pid, resident].includes(pid))).toEqual([
    { pid: run.pid, helper: 'spliceport', version: null, container: null },
  ]);
});
