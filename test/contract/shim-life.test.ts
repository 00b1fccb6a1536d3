// The life of a shim with a resident that says what the test has it say: from the greeting to the
// end.

import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cpuMs, describeFds, threadNames } from '../helpers/process-facts.js';
import { isRefused } from '../helpers/tcp-client.js';
import { staysTrueFor, until } from '../helpers/wait.js';
import { FakeResident, type ShimConnection } from './helpers/fake-resident.js';
import { freePort, type Run } from './helpers/run.js';
import { ownProcess, ShimFolder } from './helpers/shim-folder.js';
import {
  engineSection,
  openSection,
  Packer,
  readySection,
  section,
} from './helpers/shim-frames.js';

let folder: ShimFolder;
let resident: FakeResident;
const started: Run[] = [];
beforeEach(async () => {
  folder = new ShimFolder();
  resident = await FakeResident.listen(folder);
});
afterEach(async () => {
  for (const run of started.splice(0)) await run[Symbol.asyncDispose]();
  await resident[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const done = { code: 0, signal: null, stdout: '', stderr: '' };

/** A shim that is ready, and its connection. */
async function startReady(): Promise<{ readonly run: Run; readonly connection: ShimConnection }> {
  const run = folder.run('{}');
  started.push(run);
  const { connection } = await resident.greeted();
  await connection.ready();
  await run.ready();
  return { run, connection };
}

const failWith = (text: string) => section('F', new Packer().bytes(text).done());
const warnWith = (text: string) => section('W', new Packer().bytes(text).done());

describe('the greeting', () => {
  test('tells all that the resident needs to know of the caller', async () => {
    const env = {
      HOME: '/home/x',
      XDG_DATA_HOME: '/d',
      TMPDIR: '/t',
      CONTAINERS_CONF: '/c',
      X: '1',
    };
    await using run = folder.run('{"a": "ü"}', { env, cwd: '/usr' });
    const { hello } = await resident.greeted();
    const { version } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    ) as { readonly version: string };
    expect(hello).toMatchObject({
      ...{ protocol: 1, version, isReady: false, pid: run.pid, folder: '/usr' },
      configuration: '{"a": "ü"}',
    });
    // The runner of the tests may have given it others.
    expect(hello.inherited.filter((fd) => fd < 10)).toEqual([0, 1, 2, 3, 4]);
    expect(hello.environment).toMatchObject({
      ...{ HOME: '/home/x', XDG_DATA_HOME: '/d', TMPDIR: '/t', CONTAINERS_CONF: '/c' },
      XDG_RUNTIME_DIR: folder.runtime,
      SPLICEPORT_NODE: process.execPath,
    });
    for (const name of ['X', 'PATH']) expect(hello.environment).not.toHaveProperty(name);
    expect(hello.fileLimit).toBeGreaterThanOrEqual(1_024);
    expect(Number(hello.ageMs)).toBeLessThan(5_000);
    expect(hello.counters).toContain('sessionsClosed');
  });

  test('comes from a process that is called rootlessport', async () => {
    await using run = folder.run('{}');
    await resident.greeted();
    expect(threadNames(run.pid)).toEqual(['rootlessport']);
  });
});

describe('ready', () => {
  test('is reported when the outputs have been let go', async () => {
    const { run, connection } = await startReady();
    await run.released();
    const outputs = ['0', '1', '2'].map((fd) => describeFds(run.pid)[Number(fd)]);
    expect(outputs).toEqual(['/dev/null', '/dev/null', '/dev/null']);
    expect(await connection.request(warnWith('nobody hears this'))).toMatchObject({ errno: 0 });
    expect(await run.letGo()).toEqual(done);
  });

  test('is not reported if there is no such descriptor as ExitFD', async () => {
    await using run = folder.run('{}');
    const { connection } = await resident.greeted();
    const ready = await connection.request(readySection(9, 4));
    expect(ready).toMatchObject({ errno: -9, section: 0 });
    await connection.request(failWith('invalid ExitFD'));
    expect(await run.outcome).toEqual({ ...done, code: 1, stdout: 'invalid ExitFD\n' });
    expect(await run.readiness).toBe('');
  });

  test('is the end if ExitFD is a file of a disk', async () => {
    const file = join(folder.path, 'file');
    writeFileSync(file, '');
    const exitFd = openSync(file, 'r');
    await using run = folder.run('{}', { exitFd });
    closeSync(exitFd);
    const { connection } = await resident.greeted();
    connection.send(readySection());
    expect(await run.outcome).toEqual(done);
    expect(await run.readiness).toBe('1');
  });

  test('comes after warnings on standard error', async () => {
    await using run = folder.run('{}');
    const { connection } = await resident.greeted();
    await connection.request(warnWith('look out'), readySection());
    await run.ready();
    expect(await run.letGo()).toEqual({ ...done, stderr: 'look out\n' });
  });
});

describe('what fails before ready', () => {
  test('is reported on standard output, and leaves no port open', async () => {
    const port = await freePort();
    await using run = folder.run('{}');
    const { connection } = await resident.greeted();
    await connection.request(engineSection(), openSection(port));
    expect(await isRefused({ port }), 'the port is open').toBe(false);
    connection.send(failWith('no'));
    expect(await run.outcome).toEqual({ ...done, code: 1, stdout: 'no\n' });
    expect(await isRefused({ port })).toBe(true);
  });

  test('is undone if the resident ends, and done again with the next', async () => {
    const port = await freePort();
    await using run = folder.run('{}');
    for (let time = 0; time < 3; time++) {
      const { connection, hello } = await resident.greeted();
      expect(hello.isReady).toBe(false);
      expect(await isRefused({ port }), 'the port is free').toBe(true);
      const { errno } = await connection.request(engineSection(), openSection(port));
      expect(errno).toBe(0);
      connection.close();
    }
    expect(await run.outcome).toEqual(ownProcess('{}'));
    expect(await isRefused({ port })).toBe(true);
  });
});

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('comes with %s', async (signal) => {
    await using early = folder.run('{}');
    await resident.greeted();
    expect(await early.kill(signal), 'before it is ready').toEqual(done);
    const { run, connection } = await startReady();
    expect(await run.kill(signal)).toEqual(done);
    expect(connection.kinds()).toContain('b');
  });

  test('does not come with SIGPIPE and SIGUSR1, or what is written to ExitFD', async () => {
    const { run, connection } = await startReady();
    for (const signal of ['SIGPIPE', 'SIGUSR1'] as const) process.kill(run.pid, signal);
    run.writeToExit('x'.repeat(1_000));
    expect(await connection.request()).toMatchObject({ errno: 0 });
    expect(await run.letGo()).toEqual(done);
  });

  test('comes at once, also if the resident has been stopped', async () => {
    await resident[Symbol.asyncDispose]();
    await using run = folder.run('{}');
    await run.ready();
    const [pid = 0] = folder.started();
    process.kill(pid, 'SIGSTOP');
    const begin = performance.now();
    expect(await run.letGo()).toEqual(done);
    expect(performance.now() - begin).toBeLessThan(500);
  });

  test('leaves no port open after a kill', async () => {
    const port = await freePort();
    await using run = folder.run('{}');
    const { connection } = await resident.greeted();
    await connection.request(engineSection(), openSection(port), readySection());
    await run.ready();
    await run.kill('SIGKILL');
    await until(() => isRefused({ port }), 'the port is free');
  });
});

describe('the end of the resident', () => {
  test('is nothing to a shim that is ready, if nobody asks anything', async () => {
    const { run, connection } = await startReady();
    connection.close();
    await resident[Symbol.asyncDispose]();
    const before = cpuMs(run.pid);
    await staysTrueFor(500, () => folder.started().length === 0, 'no resident is started');
    expect(cpuMs(run.pid) - before).toBeLessThanOrEqual(10);
    expect(await run.letGo()).toEqual(done);
  });

  test('has another one called within moments, if a log is to be written', async () => {
    const { run, connection } = await startReady();
    await connection.request(section('K', new Packer().u8(1).done()));
    connection.close();
    expect((await resident.greeted()).hello.isReady).toBe(true);
    expect(await run.letGo()).toEqual(done);
  });
});

test('a resident that sends a shim away sees it come back to the next', async () => {
  await using run = folder.run('{}');
  const first = await resident.greeted();
  first.connection.send(section('G'));
  await first.connection.ended;
  const second = await resident.greeted();
  expect(second.hello.isReady).toBe(false);
  await second.connection.ready();
  await run.ready();
  expect(await run.letGo()).toEqual(done);
});
