import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as system from '../../src/system.js';
import { describeFds } from '../helpers/process-facts.js';
import { until } from '../helpers/wait.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A listening socket under a path of at least `length` bytes. */
function listen(name: string, length = 0) {
  let directory = join(folder, name);
  while (directory.length + name.length < length) directory = join(directory, 'd'.repeat(50));
  mkdirSync(directory, { recursive: true });
  const directoryFd = openSync(directory, 'r');
  try {
    return {
      directoryFd,
      path: join(directory, name),
      fd: system.listenUnix('stream', directoryFd, name),
    };
  } finally {
    closeSync(directoryFd);
  }
}

function code(expected: string): Error {
  const properties = { name: 'SpliceportSystemError', code: expected };
  return expect.objectContaining(properties) as Error;
}

describe('unix sockets', () => {
  test('carry bytes both ways, and distinguish nothing yet from the end', async () => {
    const { fd: listener, path } = listen('echo');
    expect(system.acceptUnix(listener)).toBeUndefined();
    const client = createConnection(path);
    const connection = await until(() => system.acceptUnix(listener), 'the connection');
    expect(system.receive(connection, 100)).toBeUndefined();
    client.write('hello');
    expect(String(await until(() => system.receive(connection, 4), 'the bytes'))).toBe('hell');
    expect(String(system.receive(connection, 100))).toBe('o');
    system.send(connection, Buffer.from('bye'));
    expect(String((await once(client, 'data'))[0])).toBe('bye');
    client.end();
    expect(await until(() => system.receive(connection, 100), 'the end')).toHaveLength(0);
    client.destroy();
    await until(() => client.closed, 'the client is closed');
    expect(() => system.send(connection, Buffer.from('more'))).toThrow(code('EPIPE'));
    for (const fd of [listener, connection]) closeSync(fd);
  });

  test('may have a path longer than a socket’s address can be', () => {
    const { fd, path } = listen('long', 300);
    expect(path.length).toBeGreaterThan(300);
    expect(statSync(path).isSocket()).toBe(true);
    closeSync(fd);
  });

  test('report a name in use as EADDRINUSE with the name, and nothing left open', () => {
    const { fd, path } = listen('taken');
    const directoryFd = openSync(join(path, '..'), 'r');
    const before = describeFds();
    expect(() => system.listenUnix('seqpacket', directoryFd, 'taken')).toThrow(
      'bind EADDRINUSE: address already in use taken',
    );
    expect(describeFds()).toEqual(before);
    for (const open of [fd, directoryFd]) closeSync(open);
  });
});

describe('watchFd', () => {
  test('calls back while the descriptor is readable, until it is closed', async () => {
    const { fd: listener, path } = listen('watch');
    let calls = 0;
    const watcher = system.watchFd(listener, () => calls++);
    const client = createConnection(path);
    await until(() => calls > 1, 'it has called back twice for one connection');
    watcher.close();
    watcher.close();
    const before = calls;
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(before);
    client.destroy();
    closeSync(listener);
  });
});

test('watchFd fails with EPERM for a plain file', () => {
  const fd = openSync('/etc/hostname', 'r');
  expect(() => system.watchFd(fd, () => undefined)).toThrow(code('EPERM'));
  closeSync(fd);
});

describe('replaceFd', () => {
  test('makes one descriptor a copy of another', () => {
    const [from, to] = [openSync('/dev/null', 'r'), openSync('/dev/zero', 'r')];
    system.replaceFd(from, to);
    expect(fstatSync(to).rdev).toBe(fstatSync(from).rdev);
    for (const fd of [from, to]) closeSync(fd);
  });

  test('fails with EBADF for a closed descriptor', () => {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    expect(() => system.replaceFd(fd, 2 ** 20)).toThrow(code('EBADF'));
  });
});

test('raiseFileLimit raises the limit on open files to the hard limit, and returns it each time', () => {
  const limit = system.raiseFileLimit();
  const [, soft, hard] =
    /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  expect([soft, hard]).toEqual([String(limit), String(limit)]);
  expect(system.raiseFileLimit()).toBe(limit);
});

test('setInterfaceUp fails with ENODEV for an unknown interface', () => {
  expect(() => system.setInterfaceUp('no-such-link')).toThrow(code('ENODEV'));
});
