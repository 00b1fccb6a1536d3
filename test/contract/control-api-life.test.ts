// The control socket from its making to its end: where it is, who may open it, what is loaded when,
// and that nothing of it is left. With real processes, of the library and of the helper.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlClient } from '../../src/control/client.js';
import { openControlSocket } from '../../src/control/listen.js';
import { Forwarder } from '../../src/index.js';
import { openFds } from '../helpers/process-facts.js';
import { until, within } from '../helpers/wait.js';
import { call, RawClient } from './helpers/control.js';
import {
  ControlledProcess,
  controlledProgram,
  type ControlledRole,
} from './helpers/controlled-process.js';
import { Caller, freePort, podmanMapping, Run, type RunOptions } from './helpers/run.js';

const runProgram = promisify(execFile);

/** One that looks for its folder in this file's. */
class Process extends ControlledProcess {
  constructor(what: ControlledRole, env: NodeJS.ProcessEnv = {}) {
    super(what, { SPLICEPORT_CONTROL_DIR: folder, ...env });
  }
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-control-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** So that nobody names the folder of the sockets, which is made in this file's. */
const inRuntimeFolder = (): NodeJS.ProcessEnv => ({
  ...process.env,
  SPLICEPORT_CONTROL_DIR: '',
  XDG_RUNTIME_DIR: folder,
});

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('the folder and the control socket', () => {
  test('are open only to the user', async () => {
    rmSync(folder, { recursive: true });
    await using process = new Process('stays');
    const { path } = await process.next();
    expect(path).toBe(join(folder, process.socketName));
    expect(statSync(path).isSocket()).toBe(true);
    expect(modeOf(folder)).toBe('700');
    expect(modeOf(path)).toBe('600');
  });

  test('are rejected if the folder is another user’s, open to others, a link or not a folder', () => {
    const forwarder = new Forwarder();
    const before = openFds();
    const link = join(folder, 'link');
    symlinkSync(folder, link);
    expect(() => openControlSocket(forwarder, { folder: link })).toThrow(/ENOTDIR|ELOOP/);
    writeFileSync(join(folder, 'file'), '');
    expect(() => openControlSocket(forwarder, { folder: join(folder, 'file') })).toThrow('ENOTDIR');
    const missing = join(folder, 'a', 'b');
    expect(() => openControlSocket(forwarder, { folder: missing })).toThrow('ENOENT');
    for (const mode of [0o701, 0o710, 0o1777]) {
      chmodSync(folder, mode);
      expect(() => openControlSocket(forwarder, { folder })).toThrow('open to others: chmod 700');
      expect(statSync(folder).mode & 0o7777, 'the mode is left as it is').toBe(mode);
    }
    expect(readdirSync(folder).sort()).toEqual(['file', 'link']);
    if (isRootOfMany()) {
      chmodSync(folder, 0o700);
      chownSync(folder, 65_534, 65_534);
      expect(() => openControlSocket(forwarder, { folder })).toThrow('another user');
    }
    expect(openFds()).toBe(before);
  });

  test('are in the runtime folder, in the user’s folder in /tmp, or where the variable says', async () => {
    const places: [env: NodeJS.ProcessEnv, path: RegExp][] = [
      [{ XDG_RUNTIME_DIR: folder }, new RegExp(`^${folder}/spliceport/\\d+\\.sock$`)],
      [{ XDG_RUNTIME_DIR: '' }, /^\/tmp\/spliceport-\d+\/\d+\.sock$/],
      [
        { XDG_RUNTIME_DIR: '/nowhere', SPLICEPORT_CONTROL_DIR: join(folder, 'own') },
        new RegExp(`^${folder}/own/\\d+\\.sock$`),
      ],
    ];
    for (const [env, path] of places) {
      await using process = new Process('stays', { SPLICEPORT_CONTROL_DIR: '', ...env });
      const told = await process.next();
      expect(told.path).toMatch(path);
      expect(existsSync(told.path)).toBe(true);
      await process.ask('close');
      expect(existsSync(told.path)).toBe(false);
    }
  });

  test('may have a path that is longer than a socket’s address can be', async () => {
    const long = join(folder, 'x'.repeat(150));
    using socket = openControlSocket(new Forwarder(), { folder: long });
    expect((await new ControlClient(socket.path).info()).pid).toBe(process.pid);
  });

  test('are separate for each forwarder of one process', async () => {
    await using process = new Process('stays');
    const first = await process.next();
    const second = await process.ask('again');
    expect(second.path).toBe(first.path.replace('.sock', '-1.sock'));
    for (const { path } of [first, second]) {
      expect((await new ControlClient(path).info()).pid).toBe(process.child.pid);
    }
  });
});

/**
 * As root with many users; in a namespace that maps one user alone there is nobody to give a file
 * to.
 */
function isRootOfMany(): boolean {
  const [, , count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).map(Number);
  return process.geteuid?.() === 0 && (count ?? 0) > 65_534;
}

describe('what a control socket leaves behind', () => {
  test.each(['ends', 'exits', 'throws'] as const)(
    'is nothing when the process exits, which it does not delay: %s',
    async (what) => {
      await using process = new Process(what);
      const { path } = await process.next();
      await within(process.exited, 'the end of the process');
      expect(existsSync(path)).toBe(false);
    },
  );

  test('is nothing after close(), while the process keeps running', async () => {
    await using process = new Process('stays');
    const { path } = await process.next();
    const client = new RawClient(path);
    client.socket.write('GET /');
    await within(once(client.socket, 'connect'), 'a connection');
    await process.ask('close');
    expect(existsSync(path)).toBe(false);
    await client.whole();
    expect(process.child.exitCode).toBeNull();
  });

  test('is a folder that was named, but no socket in it', async () => {
    await using process = new Process('ends');
    await process.next();
    await within(process.exited, 'the end of the process');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is nothing if no descriptor was left for the socket', async () => {
    const command = [
      '-c',
      `ulimit -n 64; exec "$@"`,
      'sh',
      process.execPath,
      controlledProgram,
      'starves',
    ];
    const { stdout } = await runProgram('sh', command, { env: inRuntimeFolder() });
    expect(JSON.parse(stdout)).toEqual({ code: 'EMFILE' });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is not removed while another process starts with it', async () => {
    const env = inRuntimeFolder();
    const churning = [1, 2, 3].map(() =>
      runProgram(process.execPath, [controlledProgram, 'churns'], { env }),
    );
    await expect(Promise.all(churning)).resolves.toHaveLength(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('does not include another process’s socket that has the name by then', () => {
    const socket = openControlSocket(new Forwarder(), { folder });
    rmSync(socket.path);
    writeFileSync(socket.path, 'another’s');
    socket.close();
    expect(existsSync(socket.path)).toBe(true);
  });

  test('is removed by the next process after a kill, but live sockets are kept', async () => {
    const killed = new Process('stays');
    const { path } = await killed.next();
    await killed.end();
    expect(existsSync(path)).toBe(true);

    // The name is that of no process, and yet somebody listens: a process in another pid namespace.
    const foreign = join(folder, '4194305.sock');
    const server = createServer((socket) => socket.destroy()).listen(foreign);
    await once(server, 'listening');
    writeFileSync(join(folder, 'notes.sock'), '');
    // A process that was killed before it showed its socket.
    linkSync(path, join(folder, `.${killed.socketName}`));
    await using living = new Process('stays');
    await living.next();
    expect(existsSync(path)).toBe(false);
    await using next = new Process('stays');
    await next.next();
    const names = ['4194305.sock', 'notes.sock', living.socketName, next.socketName];
    expect(readdirSync(folder).sort()).toEqual(names.sort());
    expect(await living.ask('load')).toMatchObject({ hasHttp: false });
    server.close();
  });

  test('is replaced by a process that has the same pid as a killed one', async () => {
    const path = join(folder, `${process.pid}.sock`);
    const hidden = join(folder, `.${process.pid}-1.sock`);
    const program = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`;
    for (const each of [path, hidden]) {
      await once(spawn(process.execPath, ['-e', program, each]), 'exit');
      expect(existsSync(each)).toBe(true);
    }
    using socket = openControlSocket(new Forwarder(), { folder });
    expect(socket.path).toBe(path);
    expect((await new ControlClient(path).info()).pid).toBe(process.pid);
    expect(readdirSync(folder)).toEqual([`${process.pid}.sock`]);
  });

  test('is kept if a process in another pid namespace has the same pid', async () => {
    // It listens, and has not shown its socket yet.
    const names = [`.${process.pid}.sock`, `.${process.pid}-1.sock`];
    const servers = names.map((name) => createServer().listen(join(folder, name)));
    await Promise.all(servers.map((server) => once(server, 'listening')));
    using socket = openControlSocket(new Forwarder(), { folder });
    expect((await new ControlClient(socket.path).info()).pid).toBe(process.pid);
    expect(readdirSync(folder).sort()).toEqual([...names, `${process.pid}.sock`].sort());
    for (const server of servers) server.close();
  });
});

describe('the code that answers calls', () => {
  test('is loaded when the first client connects', async () => {
    await using process = new Process('stays');
    const { path, hasHttp } = await process.next();
    expect(hasHttp).toBe(false);
    expect(await process.ask('load')).toMatchObject({ hasHttp: false });
    expect((await call(path, 'GET', '/v1/info')).status).toBe(200);
    expect(await process.ask('load')).toMatchObject({ hasHttp: true });
  });
});

describe('the helper’s control socket', () => {
  let caller: Caller;
  beforeEach(() => {
    caller = new Caller();
  });
  afterEach(() => caller[Symbol.dispose]());

  async function start(options: RunOptions = {}): Promise<Run> {
    const mapping = podmanMapping({ host_port: await freePort() });
    const env = { ...process.env, SPLICEPORT_CONTROL_DIR: folder };
    return new Run(caller.config([mapping]), { env, ...options }).ready();
  }

  const socketOf = (run: Run) => join(folder, `${run.pid}.sock`);
  const isOpen = (run: Run) => until(() => existsSync(socketOf(run)), 'a control socket');

  test.each(['let go', 'SIGTERM', 'SIGINT'] as const)(
    'exists while the helper runs, and nothing is left of it after %s',
    async (end) => {
      await using run = await start();
      await isOpen(run);
      expect([modeOf(folder), modeOf(socketOf(run))]).toEqual(['700', '600']);
      expect(await new ControlClient(socketOf(run)).info()).toMatchObject({
        pid: run.pid,
        program: 'rootlessport',
        container: { id: 'c0ffee' },
      });
      const { code, stdout, stderr } = end === 'let go' ? await run.letGo() : await run.kill(end);
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(readdirSync(folder), 'the folder, which stays, for it was chosen').toEqual([]);
    },
  );

  test('does not delay the helper’s exit when a client is in the middle of a call', async () => {
    await using run = await start();
    await isOpen(run);
    const client = new RawClient(socketOf(run));
    client.socket.write('GET /');
    expect(await new ControlClient(socketOf(run)).forwards()).toHaveLength(1);
    const started = performance.now();
    await run.letGo();
    expect(performance.now() - started).toBeLessThan(2_000);
    await client.whole();
  });

  test('is in the helper’s folder if there is no runtime folder', async () => {
    const env = { ...process.env, SPLICEPORT_CONTROL_DIR: '', XDG_RUNTIME_DIR: '' };
    await using run = await start({ env });
    const path = join(caller.folder, 'spliceport', `${run.pid}.sock`);
    await until(() => existsSync(path), 'a control socket');
    await run.letGo();
    expect(readdirSync(caller.folder)).toEqual(['rp']);
  });

  test('is not needed for the helper to be ready, if it cannot be created', async () => {
    writeFileSync(join(folder, 'file'), '');
    const env = { ...process.env, SPLICEPORT_CONTROL_DIR: join(folder, 'file') };
    await using run = await start({ env });
    expect(await run.letGo()).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('loads its code only when a client connects', async () => {
    const copy = join(folder, 'copy');
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const script = 'libexec/own-process/rootlessport';
    for (const name of ['lib/control', 'lib/engines', dirname(script), 'build/Release']) {
      mkdirSync(join(copy, name), { recursive: true });
    }
    const files = [script, 'lib/engines/podman.cjs', 'lib/node-path'];
    files.push('build/Release/spliceport.node', 'package.json');
    for (const file of files.filter((name) => existsSync(join(root, name)))) {
      copyFileSync(join(root, file), join(copy, file));
    }
    const command = [join(copy, script)];
    {
      await using run = await start({ command });
      expect(await run.letGo()).toMatchObject({ code: 0, stdout: '', stderr: '' });
    }
    copyFileSync(join(root, 'lib/control/listen.cjs'), join(copy, 'lib/control/listen.cjs'));
    await using run = await start({ command });
    await isOpen(run);
    const { status, json } = await call(socketOf(run), 'GET', '/v1/info');
    expect(status).toBe(500);
    expect((json as { message: string }).message).toContain('server.cjs');

    copyFileSync(join(root, 'lib/control/server.cjs'), join(copy, 'lib/control/server.cjs'));
    expect((await call(socketOf(run), 'GET', '/metrics')).text).toMatch(
      /^spliceport_forwards\{.*\} 1$/m,
    );
  });
});
