// A fault of the resident in what it does for one container: whoever asked is told, and all the rest goes on.

import { renameSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Container, type TcpService } from '../helpers/container.js';
import { askTcp } from '../helpers/tcp-client.js';
import { within } from '../helpers/wait.js';
import { call } from './helpers/control.js';
import { PackageCopy, version } from './helpers/package-copy.js';
import { requestReload } from './helpers/reload-client.js';
import { freePort, podmanMapping, type Run } from './helpers/run.js';
import { residentName } from './helpers/shim-folder.js';
import { frame, FrameCutter, Packer, Unpacker } from './helpers/shim-frames.js';
import { ShimRuns } from './helpers/shim-runs.js';

let container: Container;
let echo: TcpService;
let runs: ShimRuns;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' }, { address: '0.0.0.0' });
});
afterAll(() => container.stop());
beforeEach(() => {
  runs = new ShimRuns(`/proc/${container.pid}/ns/net`);
});
afterEach(() => runs[Symbol.asyncDispose]());

/** A module of a package that cannot be loaded, until it is mended. */
class BrokenModule {
  readonly #path: string;

  constructor(copy: PackageCopy, name: string) {
    this.#path = join(copy.folder, 'lib', name);
    renameSync(this.#path, `${this.#path}.whole`);
    writeFileSync(this.#path, `throw new Error('out of order');`);
  }

  mend(): void {
    renameSync(`${this.#path}.whole`, this.#path);
  }
}

async function start(id: string, copy?: PackageCopy): Promise<Run & { readonly port: number }> {
  const port = await freePort();
  const mapping = podmanMapping({ host_port: port, container_port: echo.port });
  const changes = { ContainerID: id, ChildIP: '127.0.0.1' };
  return Object.assign(await runs.start([mapping], changes, copy && [copy.shim]), { port });
}

const reload = (id: string) => requestReload('seqpacket', runs.reloadPath(id), '"127.0.0.1"');

/** What a shim says whose container runs, but of which nothing can be made sense. */
function nonsenseHello(): Buffer {
  const begin = new Packer().u16(1).bytes(version).u32(1).i32(process.pid).u64(0n).u32(1_024);
  const surroundings = begin.u32(0).u32(0).bytes('/').u32(0).bytes('nonsense');
  return frame('H', surroundings.i32(1).u32(0).u32(0).bytes('nonsense').done());
}

/** The first frame of a kind that comes over a connection. */
function firstFrame(socket: Socket, kind: string): Promise<Buffer> {
  const cutter = new FrameCutter();
  const found = new Promise<Buffer>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      const [payload] = cutter
        .push(chunk)
        .flatMap((each) => (each.kind === kind ? [each.payload] : []));
      if (payload !== undefined) resolve(payload);
    });
  });
  return within(found, `a frame ${kind}`);
}

test('a module that cannot be loaded for a call of one container is told to its caller, and shown', async () => {
  const copy = new PackageCopy(join(runs.folder, 'package'));
  await using one = await start('one', copy);
  await using other = await start('other', copy);
  const { socketPath } = await runs.control(one);
  await runs.control(other);
  await runs.killResident();
  const module = new BrokenModule(copy, 'control/listen.cjs');
  expect(await reload('other')).toBe('OK');
  const pid = await runs.resident();
  const failed = await call(socketPath, 'GET', '/v1/forwards');
  expect(failed.status).toBe(500);
  expect(failed.json).toEqual({ message: expect.stringContaining('out of order') as string });
  for (const each of ['one', 'other']) expect(await reload(each)).toBe('OK');
  expect(await askTcp(one, 'one')).toBe('one');
  expect(await runs.resident()).toBe(pid);
  module.mend();
  await runs.killResident();
  const noticesOf = async (run: Run) => (await (await runs.control(run)).info()).notices;
  expect(await noticesOf(one)).toEqual([
    expect.stringMatching(/^internal fault: Error: out of order/),
  ]);
  expect(await noticesOf(other)).toEqual([]);
});

test('a shim whose words make no sense has its clients told so, and no other suffers', async () => {
  await using run = await start('one');
  const pid = await runs.resident();
  const strange = createConnection(join(runs.folder, 'spliceport-resident', residentName()));
  const request = firstFrame(strange, 'r');
  strange.write(nonsenseHello());
  strange.write(frame('q', new Packer().u32(7).bytes('"127.0.0.1"').done()));
  const answer = new Unpacker((await request).subarray(9));
  expect(answer.u32()).toBe(7);
  expect(answer.text()).toMatch(/^rootless port failed to add port: \S/);
  strange.destroy();
  expect(await reload('one')).toBe('OK');
  expect(await (await runs.control(run)).forwards()).toHaveLength(1);
  expect(await runs.resident()).toBe(pid);
});
