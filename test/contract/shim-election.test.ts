// How shims find a resident or start one: any number of them at once start one, and what others do
// with the socket or the lock costs time, never a container.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenUnix } from '../../src/system.js';
import { isAlive } from '../helpers/process-facts.js';
import { until } from '../helpers/wait.js';
import { FakeResident } from './helpers/fake-resident.js';
import type { Run } from './helpers/run.js';
import { isWithoutStrangers } from './helpers/stranger.js';
import { ownProcess, programs, residentName, ShimFolder } from './helpers/shim-folder.js';

let folder: ShimFolder;
beforeEach(() => {
  folder = new ShimFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

describe('twenty shims at once', () => {
  async function startTwenty(): Promise<Run[]> {
    const runs = Array.from({ length: 20 }, () => folder.run('{}'));
    await Promise.all(runs.map((run) => run.ready()));
    return runs;
  }

  test('start one resident, which serves them all', async () => {
    const runs = await startTwenty();
    for (const run of runs) {
      expect(await run.letGo()).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    }
    expect(folder.started().length).toBe(1);
    expect(folder.files()).toEqual([residentName(), `${residentName()}.lock`]);
  });

  test('start one more when the first has been killed', async () => {
    const [run] = await startTwenty();
    const [first = 0] = folder.started();
    process.kill(first, 'SIGKILL');
    await until(() => !isAlive(first), 'the end of the resident');
    const more = await startTwenty();
    expect(folder.started().length).toBe(2);
    for (const each of more) await each.letGo();
    await run?.letGo();
  });
});

describe('a resident that a shim starts', () => {
  const facts = `note(JSON.stringify({
    cwd: process.cwd(), umask: process.umask(), env: process.env, args: process.execArgv,
    fds: fs.readdirSync('/proc/self/fd').flatMap((fd) => {
      try { return [fd + ' ' + fs.readlinkSync('/proc/self/fd/' + fd)]; } catch { return []; }
    }),
    status: fs.readFileSync('/proc/self/status', 'utf8'),
    stat: fs.readFileSync('/proc/self/stat', 'utf8'),
    limits: fs.readFileSync('/proc/self/limits', 'utf8'),
  }));`;

  interface Facts {
    readonly cwd: string;
    readonly umask: number;
    readonly env: Readonly<Record<string, string>>;
    readonly args: readonly string[];
    readonly fds: readonly string[];
    readonly status: string;
    readonly stat: string;
    readonly limits: string;
  }

  test('has nothing of its starter but the socket and a few variables', async () => {
    folder.writeProgram(facts + programs.serves);
    await using run = folder.run('{}', {
      command: ['prlimit', '--nofile=1000:20000', folder.command],
      env: { HOME: '/root', NODE_OPTIONS: '--bogus', SPLICEPORT_CONFIG: '/dev/null', OTHER: 'x' },
    });
    await run.ready();
    const text = folder.notes().find((note) => note.text.startsWith('{'))?.text ?? '{}';
    const { env, fds, ...told } = JSON.parse(text) as Facts;
    expect(Object.keys(env).sort()).toEqual([
      'HOME',
      'PATH',
      'SPLICEPORT_CONFIG',
      'SPLICEPORT_NODE',
      'XDG_RUNTIME_DIR',
    ]);
    expect(told).toMatchObject({
      cwd: '/',
      umask: 0o077,
      args: ['--v8-pool-size=1', '--max-semi-space-size=1'],
    });
    const standard = ['0', '1', '2'].map((fd) => `${fd} /dev/null`);
    expect(fds).toEqual(expect.arrayContaining(standard));
    expect(fds.find((fd) => fd.startsWith('3 '))).toMatch(/^3 socket:/);
    expect(fds.filter((fd) => fd.includes('pipe:') && Number(fd.split(' ')[0]) < 5)).toEqual([]);
    expect(told.status).toMatch(/^FDSize:\t(4096|8192)$/m);
    expect(told.limits).toMatch(/^Max open files +20000 +20000 /m);
    const sessionIn = (stat: string) => /\) \S+ \d+ \d+ (\d+)/.exec(stat)?.[1];
    expect(sessionIn(told.stat)).not.toBe(sessionIn(readFileSync(`/proc/${run.pid}/stat`, 'utf8')));
  });

  test('does not end with its starter', async () => {
    await using run = folder.run('{}');
    await run.ready();
    await run.kill('SIGKILL');
    await using other = folder.run('{}');
    await other.ready();
    expect(folder.started().length).toBe(1);
    await other.letGo();
  });
});

describe('what is in the way', () => {
  test('a lock whose holder has been stopped costs half a second, and starts none', async () => {
    mkdirSync(folder.residentFolder, { mode: 0o700 });
    const lock = `${folder.socket}.lock`;
    const holder = spawn('flock', ['--no-fork', lock, 'sleep', '60'], { stdio: 'ignore' });
    try {
      await until(() => folder.files().length > 0, 'the lock');
      await until(
        () => readFileSync(`/proc/${holder.pid ?? 0}/cmdline`, 'utf8').startsWith('sleep'),
        'the holder',
      );
      holder.kill('SIGSTOP');
      const begin = performance.now();
      await using run = folder.run('{}');
      expect(await run.outcome).toEqual(ownProcess('{}'));
      expect(performance.now() - begin).toBeGreaterThan(450);
      expect(folder.started()).toEqual([]);
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'close');
    }
  });

  test('a resident that has been stopped costs a second', async () => {
    await using resident = await FakeResident.listen(folder);
    const longAgo = Date.now() / 1_000 - 60;
    utimesSync(folder.socket, longAgo, longAgo);
    const begin = performance.now();
    await using run = folder.run('{}');
    await resident.connection();
    expect(await run.outcome).toEqual(ownProcess('{}'));
    const tookMs = performance.now() - begin;
    expect(tookMs).toBeGreaterThan(950);
    expect(tookMs).toBeLessThan(3_000);
  });

  test.skipIf(isWithoutStrangers('a false resident'))(
    'a socket at which another user listens is not used',
    async () => {
      mkdirSync(folder.residentFolder, { mode: 0o700 });
      const folderFd = openSync(folder.residentFolder, 'r');
      const socket = listenUnix('stream', folderFd, residentName());
      closeSync(folderFd);
      const program = `require('net').createServer().listen({ fd: 3 }, () => console.log('ready'))`;
      const command = ['--reuid', '65534', '--clear-groups', process.execPath, '-e', program];
      const stranger = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'inherit', socket] });
      closeSync(socket);
      try {
        if (stranger.stdout) await once(stranger.stdout, 'data');
        const begin = performance.now();
        await using run = folder.run('{}');
        expect(await run.outcome).toEqual(ownProcess('{}'));
        expect(folder.started()).toEqual([]);
        expect(performance.now() - begin, 'nobody waits for it').toBeLessThan(3_000);
      } finally {
        stranger.kill('SIGKILL');
        await once(stranger, 'close');
      }
    },
  );

  test('a socket that nobody listens at is replaced', async () => {
    await (await FakeResident.listen(folder))[Symbol.asyncDispose]();
    writeFileSync(`${folder.socket}.new`, 'left behind');
    await using run = folder.run('{}');
    await run.ready();
    expect(folder.started().length).toBe(1);
    await run.letGo();
  });

  test('sockets of namespaces that are gone are removed, and no others', async () => {
    mkdirSync(folder.residentFolder, { mode: 0o700 });
    for (const name of ['1-2-v1.lock', 'other', '3-4-v1.lock', '3-4-v1', '5-6-v1.lock']) {
      writeFileSync(join(folder.residentFolder, name), '');
    }
    const living = createServer().listen(join(folder.residentFolder, '5-6-v1'));
    await once(living, 'listening');
    await using run = folder.run('{}');
    await run.ready();
    const own = [residentName(), `${residentName()}.lock`];
    expect(folder.files()).toEqual([...own, 'other', '5-6-v1', '5-6-v1.lock'].sort());
    living.close();
    await run.letGo();
  });
});
