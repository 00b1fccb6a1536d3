// The helper's life: ready, detached from its caller's output, gone when it is let go.

import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeFds, isAlive, openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, endingOf, isRefused } from '../helpers/tcp-client.js';
import { settled, until, within } from '../helpers/wait.js';
import { makePipe } from './helpers/pipes.js';
import { executable, isShim, Run } from './helpers/run.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();

const config = (changes: Readonly<Record<string, unknown>> = {}) =>
  fixture.caller.config([fixture.mapping()], changes);

/** Expects the port to be forwarded. */
async function expectForwarded(): Promise<void> {
  expect(await askTcp({ port: fixture.port }, 'hello')).toBe('hello');
}

describe('readiness of the helper', () => {
  test('is reported when the port answers, by one character and the end of the pipe', async () => {
    await using run = new Run(config());
    expect(await within(run.readiness, 'readiness')).toBe('1');
    await expectForwarded();
  });

  test('comes after the end of the configuration, in however many pieces it arrives', async () => {
    const { readEnd, writeEnd } = makePipe();
    await using run = new Run('', { stdin: readEnd });
    closeSync(readEnd);
    const text = JSON.stringify(config());
    for (const piece of text.match(/.{1,40}/g) ?? []) writeSync(writeEnd, piece);
    expect(await isRefused({ port: fixture.port })).toBe(true);
    closeSync(writeEnd);
    await run.ready();
    await expectForwarded();
  });

  test('comes with a non-blocking stdin too', async () => {
    const path = join(fixture.caller.folder, 'stdin');
    execFileSync('mkfifo', [path]);
    const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeEnd = openSync(path, constants.O_WRONLY);
    const command = ['sh', '-c', 'exec "$0" <&5 5<&-', executable];
    await using run = new Run('', { command, fd5: readEnd });
    closeSync(readEnd);
    // Long at rest, it has found nothing to read.
    await settled(() => openFds(run.pid), 'the helper');
    writeSync(writeEnd, JSON.stringify(config()));
    closeSync(writeEnd);
    await run.ready();
  });

  test('leaves the folder for sockets, open only to the user, and nothing else', async () => {
    const folder = join(fixture.caller.folder, 'a', 'b');
    await using run = new Run(config({ TmpDir: folder }));
    await run.ready();
    expect(fixture.caller.files()).toEqual(['a', 'a/b', 'a/b/rp']);
    expect(statSync(join(folder, 'rp')).mode & 0o777).toBe(0o700);
  });

  test('releases stdout and stderr, and puts /dev/null in their place', async () => {
    await using run = new Run(config());
    await run.ready();
    await run.released();
    for (const fd of [1, 2]) expect(readlinkSync(`/proc/${run.pid}/fd/${fd}`)).toBe('/dev/null');
    expect(run.stdout).toBe('');
  });

  test('closes the descriptor that it was reported on', async () => {
    await using run = new Run(config());
    const pipe = readlinkSync(`/proc/${run.pid}/fd/4`);
    await run.ready();
    expect(describeFds(run.pid)).not.toContain(pipe);
  });

  test('does not need a caller that reads it', async () => {
    const { readEnd, writeEnd } = makePipe();
    closeSync(readEnd);
    await using run = new Run(config(), { readyFd: writeEnd });
    closeSync(writeEnd);
    await until(async () => !(await isRefused({ port: fixture.port })), 'the port');
    await run.released();
    await expectForwarded();
    expect((await run.letGo()).code).toBe(0);
  });

  test('leaves one process in its group, with no child', async () => {
    await using run = new Run(config());
    await run.ready();
    const groupOf = (pid: string) =>
      readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2];
    const members = readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && groupOf(name) === String(run.pid);
      } catch {
        return false; // It ended in between.
      }
    });
    expect(members).toEqual([String(run.pid)]);
    expect(readlinkSync(`/proc/${run.pid}/exe`)).toMatch(isShim ? /\/rootlessport$/ : /\/node$/);
  });
});

describe('the exit of the helper', () => {
  test('comes with the end of the pipe, not with data in it', async () => {
    await using run = new Run(config());
    await run.ready();
    for (let written = 0; written < 256; written++) {
      run.writeToExit('x'.repeat(1024));
      await expectForwarded();
    }
    expect(await run.letGo()).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    expect(await isRefused({ port: fixture.port })).toBe(true);
  });

  test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('comes with %s', async (signal) => {
    await using run = new Run(config({ RootlessCNI: true }));
    await run.ready();
    expect(fixture.caller.files()).toEqual(['rp', 'rp/c0ffee']);
    const { code, signal: cause } = await run.kill(signal);
    expect({ code, cause }).toEqual({ code: 0, cause: null });
    expect(await isRefused({ port: fixture.port })).toBe(true);
    expect(fixture.caller.files()).toEqual(['rp']);
  });

  test('removes the socket, frees the port and cuts the connections', async () => {
    await using run = new Run(config({ RootlessCNI: true }));
    await run.ready();
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => connectTcp({ port: fixture.port })),
    );
    const endings = clients.map((client) => endingOf(client));
    await run.letGo();
    expect(await isRefused({ port: fixture.port })).toBe(true);
    await Promise.all(endings);
    expect(fixture.caller.files()).toEqual(['rp']);
    await using next = new Run(config());
    await next.ready();
    await expectForwarded();
  });

  test('comes at once if the pipe has ended before', async () => {
    const { readEnd, writeEnd } = makePipe();
    closeSync(writeEnd);
    await using run = new Run(config({ RootlessCNI: true }), { exitFd: readEnd });
    closeSync(readEnd);
    expect(await within(run.readiness, 'readiness')).toBe('1');
    expect((await within(run.outcome, 'the end')).code).toBe(0);
    expect(fixture.caller.files()).toEqual(['rp']);
  });

  test.for(['/dev/null', 'a file'])('comes at once if the descriptor is %s', async (kind) => {
    const path = kind === 'a file' ? join(fixture.caller.folder, 'exit') : kind;
    if (kind === 'a file') writeFileSync(path, 'x'.repeat(100_000));
    const fd = openSync(path, 'r');
    await using run = new Run(config(), { exitFd: fd });
    closeSync(fd);
    expect(await within(run.readiness, 'readiness')).toBe('1');
    expect((await within(run.outcome, 'the end')).code).toBe(0);
  });

  test('does not come with SIGUSR1, which opens no inspector either', async () => {
    await using run = new Run(config());
    await run.ready();
    for (let asked = 0; asked < 50; asked++) await expectForwarded();
    const fds = await settled(() => openFds(run.pid), 'the number of descriptors');
    process.kill(run.pid, 'SIGUSR1');
    // Node's own thread would have an inspector listen within a fraction of these.
    for (let asked = 0; asked < 500; asked++) await expectForwarded();
    await until(() => openFds(run.pid) <= fds, 'no further descriptor');
    expect(isAlive(run.pid)).toBe(true);
  });

  test('does not come with SIGPIPE', async () => {
    await using run = new Run(config());
    await run.ready();
    process.kill(run.pid, 'SIGPIPE');
    await expectForwarded();
    expect(isAlive(run.pid)).toBe(true);
  });

  test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'comes with %s also while the configuration is still read',
    async (signal) => {
      await using run = new Run('{', { holdStdin: true });
      await until(
        () => readlinkSync(`/proc/${run.pid}/exe`).endsWith(isShim ? '/rootlessport' : '/node'),
        'the start of the program',
      );
      const { stdout } = await run.kill(signal);
      expect(stdout).toBe('');
      expect(fixture.caller.files()).toEqual([]);
    },
  );

  test('does not need a caller that reads the error', async () => {
    const command = ['bash', '-c', '"$0" | true; exit ${PIPESTATUS[0]}', executable];
    await using run = new Run('{}', { command });
    expect((await within(run.outcome, 'the end')).code).toBe(1);
  });
});
