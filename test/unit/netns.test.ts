import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SpliceportSystemError } from '../../src/errors.js';
import { netnsPath, NetnsTable } from '../../src/spec/netns.js';

const own = '/proc/self/ns/net';
const ownByPid = `/proc/${process.pid}/ns/net`;
const otherNamespace = '/proc/self/ns/uts';
const missing = '/proc/0/ns/net';

/** What the descriptors of this process lead to, for those that lead to a namespace. */
function openNamespaces(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^(net|uts):/.test(target) ? [target] : [];
    } catch {
      return []; // The descriptor that listed the folder.
    }
  });
}

function countingTable() {
  const probed: number[] = [];
  const table = new NetnsTable((fd) => {
    probed.push(fd);
    return undefined;
  });
  const acquire = (...paths: string[]) => table.acquire(paths);
  return { table, probed, acquire };
}

test('a namespace is given by its path, or by the pid of a process in it', () => {
  expect(netnsPath({ path: '/run/netns/web' })).toBe('/run/netns/web');
  expect(netnsPath({ pid: 123 })).toBe('/proc/123/ns/net');
});

describe('NetnsTable', () => {
  test('opens and probes a namespace once, whatever its paths and however many users it has', () => {
    const { table, probed, acquire } = countingTable();
    const [first, second, third] = acquire(own, own, ownByPid);
    const [fourth] = acquire(ownByPid);
    expect(probed).toHaveLength(1);
    expect(new Set([first?.fd, second?.fd, third?.fd, fourth?.fd])).toEqual(new Set(probed));
    expect(openNamespaces()).toEqual([readlinkSync(own)]);
    table.close();
  });

  test('keeps a namespace open until its last user releases it, and probes it again after that', () => {
    const { table, probed, acquire } = countingTable();
    const users = acquire(own, own, ownByPid);
    for (const user of users.splice(1)) table.release(user);
    expect(openNamespaces()).toHaveLength(1);
    for (const user of users) table.release(user);
    expect(openNamespaces()).toEqual([]);
    acquire(own);
    expect(probed).toHaveLength(2);
    table.close();
    expect(openNamespaces()).toEqual([]);
  });

  test('distinguishes namespaces', () => {
    const { table, probed, acquire } = countingTable();
    const [first, second] = acquire(own, otherNamespace);
    expect(probed).toHaveLength(2);
    expect(first?.identity).not.toBe(second?.identity);
    table.close();
  });

  test('reports a missing namespace as ERR_SPLICEPORT_NETNS_GONE, with its cause and nothing left open', () => {
    const { acquire } = countingTable();
    const message = `The network namespace is gone: open ENOENT: no such file or directory ${missing}`;
    expect(() => acquire(own, otherNamespace, missing)).toThrow(
      expect.objectContaining({
        code: 'ERR_SPLICEPORT_NETNS_GONE',
        message,
        cause: expect.objectContaining({
          code: 'ENOENT',
          side: 'container',
          path: missing,
        }) as Error,
      }),
    );
    expect(openNamespaces()).toEqual([]);
  });

  test('keeps the users that it has when another acquisition fails', () => {
    const { table, acquire } = countingTable();
    acquire(own);
    expect(() => acquire(own, missing)).toThrow();
    expect(openNamespaces()).toHaveLength(1);
    table.close();
  });

  test('reports a namespace that cannot be entered with the failed call and the path, and nothing left open', () => {
    const failure = { errno: -constants.errno.EPERM, syscall: 'setns' };
    const table = new NetnsTable(() => failure);
    expect(() => table.acquire([own])).toThrow(
      expect.objectContaining({
        code: 'EPERM',
        side: 'container',
        message: `setns EPERM: operation not permitted ${own}`,
        hint: expect.stringContaining('CAP_SYS_ADMIN') as string,
      }),
    );
    expect(openNamespaces()).toEqual([]);
  });

  describe('with files that are not namespaces', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'spliceport-'));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    test('reports a file in place of a folder as the system’s own error', () => {
      const file = join(folder, 'file');
      writeFileSync(file, '');
      const { acquire } = countingTable();
      expect(() => acquire(`${file}/net`)).toThrow(SpliceportSystemError);
      expect(() => acquire(`${file}/net`)).toThrow(`open ENOTDIR: not a directory ${file}/net`);
    });

    test('does not block on a FIFO', () => {
      const fifo = join(folder, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const { table, probed, acquire } = countingTable();
      acquire(fifo);
      expect(probed).toHaveLength(1);
      table.close();
    });
  });
});
