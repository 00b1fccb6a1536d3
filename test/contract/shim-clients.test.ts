// Those who call at a shim's sockets, to tell a container's new address or to see and change its
// forwards: they wait for a resident, or hear that there is none.

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenUnix, type UnixSocketType } from '../../src/system.js';
import { cpuMs, openFds } from '../helpers/process-facts.js';
import { staysTrueFor, until } from '../helpers/wait.js';
import { FakeResident, type ShimConnection } from './helpers/fake-resident.js';
import { ReloadClient, requestReload } from './helpers/reload-client.js';
import type { Run } from './helpers/run.js';
import { programs, ShimFolder } from './helpers/shim-folder.js';
import { Packer, section, Unpacker } from './helpers/shim-frames.js';
import { isWithoutStrangers, sendAsStranger } from './helpers/stranger.js';

let folder: ShimFolder;
let resident: FakeResident;
let run: Run;
let connection: ShimConnection;

const done = { code: 0, signal: null, stdout: '', stderr: '' };
const socketFolder = () => join(folder.path, 'rp');
const reloadPath = () => join(socketFolder(), 'c0ffee');
const controlPath = () => join(socketFolder(), '1.sock');

/** A shim that is ready, has no sockets yet, and holds no resident that it could start. */
beforeEach(async () => {
  folder = new ShimFolder(programs.dies);
  mkdirSync(socketFolder(), { mode: 0o755 });
  resident = await FakeResident.listen(folder);
  run = folder.run('{}');
  ({ connection } = await resident.greeted());
  await connection.ready();
  await run.ready();
});
afterEach(async () => {
  await run[Symbol.asyncDispose]();
  await resident[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Makes a socket and gives it to the shim, with a section that begins and ends as told. */
async function giveSocket(
  path: string,
  type: UnixSocketType,
  makeSection: (identity: Packer) => Buffer,
): Promise<void> {
  const folderFd = openSync(socketFolder(), 'r');
  const name = path.slice(socketFolder().length + 1);
  const listener = listenUnix(type, folderFd, name);
  const { dev, ino } = statSync(path, { bigint: true });
  const answer = await connection.pass(
    [listener, folderFd],
    makeSection(new Packer().bytes(name).u64(dev).u64(ino)),
  );
  closeSync(listener);
  closeSync(folderFd);
  expect(answer).toMatchObject({ errno: 0 });
}

const giveReloadSocket = (type: UnixSocketType = 'seqpacket') =>
  giveSocket(reloadPath(), type, (identity) =>
    section('L', Buffer.concat([Buffer.from([type === 'stream' ? 1 : 0]), identity.done()])),
  );
const giveControlSocket = () =>
  giveSocket(controlPath(), 'stream', (identity) =>
    section('C', identity.bytes(socketFolder()).done()),
  );

/** The next request of a reload client that the resident hears of. */
async function nextRequest(
  from: ShimConnection,
): Promise<{ readonly client: number; readonly text: string }> {
  const unpacker = new Unpacker(await from.next('q'));
  return { client: unpacker.u32(), text: unpacker.text() };
}

const reply = (client: number, text: string) =>
  section('P', new Packer().u32(client).bytes(text).done());

/** Ends the resident like a kill. */
const endResident = () => resident[Symbol.asyncDispose]();

/** What another user hears, although the modes of files let him call. */
async function asStranger(path: string): Promise<{ text: string; errorCode: string }> {
  for (const each of [folder.path, socketFolder()]) chmodSync(each, 0o755);
  chmodSync(path, 0o666);
  return sendAsStranger(path, 'GET / HTTP/1.1\r\n\r\n');
}

/** All that comes over a control connection after a request. */
function callControl(): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = createConnection(controlPath());
    socket.on('data', (chunk) => (text += chunk.toString())).on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write('GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n');
  });
}

describe('a request to reload', () => {
  test.each(['seqpacket', 'stream'] as const)('is answered by the resident: %s', async (type) => {
    await giveReloadSocket(type);
    for (const address of ['"10.0.2.100"', '""']) {
      const answer = requestReload(type, reloadPath(), `${address}\n`);
      const { client, text } = await nextRequest(connection);
      expect(text.trimEnd()).toBe(address);
      await connection.request(reply(client, `OK ${address}`));
      expect(await answer).toBe(`OK ${address}`);
    }
  });

  test('is asked again of the resident that comes after one that died with it', async () => {
    await giveReloadSocket();
    const answer = requestReload('seqpacket', reloadPath(), '"10.0.2.100"');
    await nextRequest(connection);
    await endResident();
    resident = await FakeResident.takeOver(folder);
    const next = await resident.greeted();
    expect(next.hello.isReady).toBe(true);
    const { client, text } = await nextRequest(next.connection);
    expect(text).toBe('"10.0.2.100"');
    await next.connection.request(reply(client, 'OK'));
    expect(await answer).toBe('OK');
  });

  test('is refused with the reason if five residents in a row die at their start', async () => {
    await giveReloadSocket();
    await endResident();
    const answer = await requestReload('seqpacket', reloadPath(), '"10.0.2.100"');
    expect(answer).toMatch(/^rootless port failed to add port: \S.*resident/);
    const started = folder.started().length;
    expect(started).toBeGreaterThanOrEqual(4);
    expect(started).toBeLessThanOrEqual(5);
    const before = cpuMs(run.pid);
    await staysTrueFor(1_500, () => folder.started().length === started, 'no other is started');
    expect(cpuMs(run.pid) - before).toBeLessThanOrEqual(10);
  });

  test('is refused if every resident that is asked dies of it', async () => {
    await giveReloadSocket();
    const answer = requestReload('seqpacket', reloadPath(), 'poison');
    await nextRequest(connection);
    connection.close();
    for (let time = 1; time < 5; time++) {
      const next = await resident.greeted();
      await nextRequest(next.connection);
      next.connection.close();
    }
    await resident.greeted();
    expect(await answer).toBe(
      'rootless port failed to add port: the resident process of spliceport ends when it is asked',
    );
  });

  test('waits behind no silent client, and those are let go after two seconds', async () => {
    await giveReloadSocket('stream');
    const clients = Array.from({ length: 18 }, () => new ReloadClient('stream', reloadPath()));
    const begin = performance.now();
    expect(await clients[0]?.reply(), 'one too many lets the first go').toBe('');
    expect(performance.now() - begin).toBeLessThan(1_000);
    const answer = requestReload('stream', reloadPath(), '"1.2.3.4"');
    const { client } = await nextRequest(connection);
    await connection.request(reply(client, 'OK'));
    expect(await answer).toBe('OK');
    expect(await clients.at(-1)?.reply()).toBe('');
    expect(performance.now() - begin).toBeGreaterThan(1_900);
    for (const each of clients) each.close();
  });

  test.each([
    ['a string in pieces', ['"10.0', '.2.100"'], '"10.0.2.100"'],
    ['a string with escapes', [String.raw`"\"a\\" more`], String.raw`"\"a\\"`],
    ['a line of anything', ['  {"a":\n', '1}'], '  {"a":\n'],
    ['more than four kibibytes', ['x'.repeat(6_000)], 'x'.repeat(4_097)],
  ])('is read from a stream: %s', async (_, pieces, expected) => {
    await giveReloadSocket('stream');
    using client = new ReloadClient('stream', reloadPath());
    for (const piece of pieces) client.send(piece);
    expect((await nextRequest(connection)).text).toBe(expected);
  });

  test('leaves no descriptor behind, whoever ends first', async () => {
    await giveReloadSocket();
    const before = openFds(run.pid);
    for (let time = 0; time < 40; time++) {
      using client = new ReloadClient('seqpacket', reloadPath());
      client.send('"1.2.3.4"');
      const { client: id } = await nextRequest(connection);
      if (time % 2 === 0) client.close();
      await connection.request(reply(id, 'OK'));
      await connection.request(reply(id, 'again'));
    }
    await until(() => openFds(run.pid) === before, 'all are closed');
  });
});

describe('a call of the control API', () => {
  test('is passed on to the resident', async () => {
    await giveControlSocket();
    const before = openFds(run.pid);
    const socket = createConnection(controlPath());
    socket.on('error', () => undefined);
    await connection.next('c');
    await until(() => openFds(run.pid) === before, 'the shim has let it go');
    socket.destroy();
  });

  test('waits for a resident without costing the shim anything', async () => {
    folder.writeProgram(programs.stops);
    await giveControlSocket();
    await endResident();
    const socket = createConnection(controlPath());
    socket.on('error', () => undefined);
    await until(() => folder.started().length > 0, 'a resident');
    const before = cpuMs(run.pid);
    await staysTrueFor(500, () => !socket.destroyed, 'the client waits');
    expect(cpuMs(run.pid) - before).toBeLessThanOrEqual(10);
    socket.destroy();
  });

  test('is answered with 503 if there is no resident', async () => {
    await giveControlSocket();
    await endResident();
    const [answer, other] = await Promise.all([callControl(), callControl()]);
    expect(answer).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    const [, body = ''] = answer.split('\r\n\r\n');
    expect(JSON.parse(body)).toEqual({
      message: expect.stringContaining('resident process of spliceport') as string,
    });
    expect(other).toBe(answer);
  });

  test.skipIf(isWithoutStrangers('a stranger at the control socket'))(
    'is refused if it comes from another user',
    async () => {
      await giveControlSocket();
      const { text } = await asStranger(controlPath());
      expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
      expect(text).toContain('this socket is for user 0 and root, and you are user 65534');
    },
  );
});

test.skipIf(isWithoutStrangers('a stranger at the reload socket'))(
  'a reload of another user is refused with the reason',
  async () => {
    await giveReloadSocket('stream');
    expect(await asStranger(reloadPath())).toEqual({
      text: 'this socket is for user 0 and root, and you are user 65534',
      errorCode: '',
    });
  },
);

describe('the end of the shim', () => {
  test('removes its sockets, and the folder of the one for control', async () => {
    await giveReloadSocket();
    await giveControlSocket();
    expect(await run.letGo()).toEqual(done);
    expect(existsSync(socketFolder())).toBe(false);
  });

  test('leaves what has taken the name of its socket', async () => {
    await giveReloadSocket();
    const folderFd = openSync(socketFolder(), 'r');
    unlinkSync(reloadPath());
    const other = listenUnix('seqpacket', folderFd, 'c0ffee');
    expect(await run.letGo()).toEqual(done);
    expect(existsSync(reloadPath())).toBe(true);
    closeSync(other);
    closeSync(folderFd);
  });
});
