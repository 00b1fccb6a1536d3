// The client of the control API, with forwarders that answer and others that do not.

import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlClient, ControlError, listForwarders } from '../../src/control/client.js';
import { Controlled } from './helpers/control.js';
import { ControlledProcess } from './helpers/controlled-process.js';
import { isWithoutStrangers } from './helpers/stranger.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-control-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const start = () => new ControlledProcess('stays', { SPLICEPORT_CONTROL_DIR: folder });

describe('the client of the control API', () => {
  test('lists every forwarder of the folder that answers, and names those that do not', async () => {
    await using first = start();
    await using second = start();
    await using stopped = start();
    const killed = start();
    for (const each of [first, second, stopped, killed]) await each.next();
    await killed.end();
    stopped.child.kill('SIGSTOP');
    const silent: [path: string, failure: ControlError][] = [];
    const found = await listForwarders([folder, join(folder, 'nowhere')], (path, failure) => {
      silent.push([path, failure]);
    });
    expect(silent).toHaveLength(1);
    expect(silent[0]?.[0]).toBe(join(folder, stopped.socketName));
    expect(silent[0]?.[1]).toMatchObject({
      message: expect.stringContaining('no answer within 2000 ms') as string,
    });
    const pids = [first.child.pid, second.child.pid].sort(
      (one, other) => Number(one) - Number(other),
    );
    expect(found.map(({ info }) => info.pid)).toEqual(pids);
    expect(await found[0]?.client.forwards()).toEqual([]);
    stopped.child.kill('SIGCONT');
  });

  test('uses no folder that is a link or another user’s', async () => {
    const inner = join(folder, 'inner');
    mkdirSync(inner, { mode: 0o700 });
    await using process = new ControlledProcess('stays', { SPLICEPORT_CONTROL_DIR: inner });
    await process.next();
    const pids = async (path: string): Promise<number[]> =>
      (await listForwarders([path])).map(({ info }) => info.pid);
    expect(await pids(inner)).toEqual([process.child.pid]);
    symlinkSync(inner, join(folder, 'link'));
    expect(await pids(join(folder, 'link'))).toEqual([]);
    if (isWithoutStrangers('a folder of another user')) return;
    chownSync(inner, 65_534, 65_534);
    expect(await pids(inner)).toEqual([]);
  });

  test('has a method for everything that the API does', async () => {
    await using controlled = new Controlled('/proc/self/ns/net');
    const client = new ControlClient(controlled.path);
    const [one, two] = await client.add([
      '127.0.0.1:0:80',
      { host: { port: 0 }, container: { port: 81 } },
    ]);
    expect(await client.forwards()).toEqual([one, two]);
    expect((await client.retarget(1, { port: 82 })).container.port).toBe(82);
    expect((await client.forward(1)).container.port).toBe(82);
    await client.remove(2, { drainMs: 10 });
    expect(await client.forwards()).toHaveLength(1);
    expect(await client.sessions()).toEqual([]);
    expect(await client.sessions(1)).toEqual([]);
    expect((await client.stats()).forwards.map(({ id }) => id)).toEqual([1]);
    expect(await client.metrics()).toMatch(/^spliceport_forwards\{.*\} 1$/m);
    expect(await client.drain({ drainMs: 0 })).toMatchObject({ forwards: 1 });
    expect(await client.forwards()).toEqual([]);
  });

  test('reports failures with a code and a hint', async () => {
    await using controlled = new Controlled('/proc/self/ns/net');
    const client = new ControlClient(controlled.path);
    const failure = await client.add(['192.0.2.1:1:80']).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ControlError);
    expect(failure).toMatchObject({
      status: 409,
      code: 'EADDRNOTAVAIL',
      hint: expect.stringContaining('ip address') as string,
    });
    const nobody = new ControlClient(join(folder, '1.sock'));
    await expect(nobody.info()).rejects.toMatchObject({
      code: 'ENOENT',
      hint: expect.stringContaining('has ended') as string,
    });
  });

  test('gives up on a forwarder that does not answer', async () => {
    await using stopped = start();
    const { path } = await stopped.next();
    stopped.child.kill('SIGSTOP');
    await expect(new ControlClient(path, { timeoutMs: 100 }).info()).rejects.toMatchObject({
      message: expect.stringContaining('no answer within 100 ms') as string,
      hint: expect.stringContaining('stopped') as string,
    });
    stopped.child.kill('SIGCONT');
  });
});
