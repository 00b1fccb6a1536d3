// A fault of the resident in what it does for one container: whoever asked is told, and all the
// rest goes on.

import { renameSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askTcp } from '../helpers/tcp-client.js';
import { within } from '../helpers/wait.js';
import { call } from './helpers/control.js';
import { PackageCopy, version } from './helpers/package-copy.js';
import type { Run } from './helpers/run.js';
import { residentName } from './helpers/shim-folder.js';
import { frame, FrameCutter, Packer, Unpacker } from './helpers/shim-frames.js';
import { useShimRuns } from './helpers/use-shim-runs.js';

const fixture = useShimRuns();

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
  const copy = new PackageCopy(join(fixture.runs.folder, 'package'));
  await using one = await fixture.start('one', copy);
  await using other = await fixture.start('other', copy);
  const { socketPath } = await fixture.runs.control(one);
  await fixture.runs.control(other);
  await fixture.runs.killResident();
  const module = new BrokenModule(copy, 'control/listen.cjs');
  expect(await fixture.reload('other')).toBe('OK');
  const pid = await fixture.runs.resident();
  const failed = await call(socketPath, 'GET', '/v1/forwards');
  expect(failed.status).toBe(500);
  expect(failed.json).toEqual({ message: expect.stringContaining('out of order') as string });
  for (const each of ['one', 'other']) expect(await fixture.reload(each)).toBe('OK');
  expect(await askTcp(one, 'one')).toBe('one');
  expect(await fixture.runs.resident()).toBe(pid);
  module.mend();
  await fixture.runs.killResident();
  const noticesOf = async (run: Run) => (await (await fixture.runs.control(run)).info()).notices;
  expect(await noticesOf(one)).toEqual([
    expect.stringMatching(/^internal fault: Error: out of order/),
  ]);
  expect(await noticesOf(other)).toEqual([]);
});

test('a shim whose words make no sense has its clients told so, and no other suffers', async () => {
  await using run = await fixture.start('one');
  const pid = await fixture.runs.resident();
  const strange = createConnection(
    join(fixture.runs.folder, 'spliceport-resident', residentName()),
  );
  const request = firstFrame(strange, 'r');
  strange.write(nonsenseHello());
  strange.write(frame('q', new Packer().u32(7).bytes('"127.0.0.1"').done()));
  const answer = new Unpacker((await request).subarray(9));
  expect(answer.u32()).toBe(7);
  expect(answer.text()).toMatch(/^rootless port failed to add port: \S/);
  strange.destroy();
  expect(await fixture.reload('one')).toBe('OK');
  expect(await (await fixture.runs.control(run)).forwards()).toHaveLength(1);
  expect(await fixture.runs.resident()).toBe(pid);
});
