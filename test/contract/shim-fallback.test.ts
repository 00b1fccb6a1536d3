// Every doubt of the shim before it is ready: the helper in a process of its own takes its place,
// with the same configuration and descriptors, and nothing is left of what the shim did.

import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeResident } from './helpers/fake-resident.js';
import { ownProcess, programs, ShimFolder } from './helpers/shim-folder.js';
import { frame, section } from './helpers/shim-frames.js';

let folder: ShimFolder;
beforeEach(() => {
  folder = new ShimFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const configuration = '{"any": "text"}';

/** How the shim ends that must not have served its container itself, and how long that took. */
async function expectOwnProcess(options: Parameters<ShimFolder['run']>[1] = {}): Promise<number> {
  const begin = performance.now();
  await using run = folder.run(configuration, options);
  expect(await run.outcome).toEqual(ownProcess(configuration));
  return performance.now() - begin;
}

describe('the helper in a process of its own serves the container', () => {
  test('if there is no program for a resident', async () => {
    rmSync(join(folder.path, 'lib/resident/main.cjs'));
    await expectOwnProcess();
    expect(folder.files()).toEqual([]);
  });

  test('if the folder for sockets is open to others', async () => {
    mkdirSync(folder.residentFolder);
    chmodSync(folder.residentFolder, 0o750);
    await expectOwnProcess();
    expect(folder.started()).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)('if the folder is another user’s', async () => {
    mkdirSync(folder.residentFolder, { mode: 0o700 });
    chownSync(folder.residentFolder, 65_534, 65_534);
    await expectOwnProcess();
    expect(folder.started()).toEqual([]);
  });

  test('if the runtime folder is none', async () => {
    await expectOwnProcess({ env: { XDG_RUNTIME_DIR: join(folder.path, 'nowhere') } });
  });

  test('without /proc, if the script says so', async () => {
    const script = 'mount -t tmpfs none /proc && exec "$0"';
    const command = ['unshare', '--mount', 'sh', '-c', script, folder.command];
    await expectOwnProcess({ command });
  });

  test('within moments, if the resident dies at its start every time', async () => {
    folder.writeProgram(programs.dies);
    await expectOwnProcess();
    expect(folder.started().length).toBe(3);
  });

  test('if the resident ends every connection', async () => {
    folder.writeProgram(programs['closes every connection']);
    await expectOwnProcess();
    expect(folder.started().length).toBe(1);
  });

  test('after five seconds, if a new resident says nothing', async () => {
    folder.writeProgram(programs.stops);
    expect(await expectOwnProcess()).toBeGreaterThan(4_900);
  });

  test('if the resident says so', async () => {
    await using resident = await FakeResident.listen(folder);
    await using run = folder.run(configuration);
    const connection = await resident.connection();
    await connection.greet();
    connection.send(section('Q'));
    expect(await run.outcome).toEqual(ownProcess(configuration));
  });

  test('if the resident becomes silent after its greeting', { timeout: 20_000 }, async () => {
    await using resident = await FakeResident.listen(folder);
    await using run = folder.run(configuration);
    await (await resident.connection()).greet();
    expect(await run.outcome).toEqual(ownProcess(configuration));
  });

  test('if the resident says what is no frame', async () => {
    await using resident = await FakeResident.listen(folder);
    await using run = folder.run(configuration);
    for (let time = 0; time < 3; time++) {
      const tooLong = frame('a');
      tooLong.writeUInt32LE(2 ** 31);
      (await resident.connection()).write(tooLong);
    }
    expect(await run.outcome).toEqual(ownProcess(configuration));
  });
});

test('the descriptors of the caller, and no others, are passed on', async () => {
  folder.writeScript(
    'for fd in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done',
  );
  folder.writeProgram(programs.dies);
  await using run = folder.run(configuration);
  const { stdout } = await run.outcome;
  expect(stdout).toBe('0\n1\n2\n3\n4\n');
});

test('signals and limits are as they were for the script', async () => {
  folder.writeScript('grep -E "^Sig(Blk|Ign|Cgt)" /proc/self/status; ulimit -Sn; exit 7');
  folder.writeProgram(programs.dies);
  await using run = folder.run(configuration, {
    command: ['prlimit', '--nofile=500:20000', folder.command],
  });
  const { stdout } = await run.outcome;
  expect(stdout).toMatch(/^SigBlk:\t0+\nSigIgn:\t0+\n/);
  expect(stdout).toMatch(/\n500\n$/);
});

test('a configuration of a mebibyte arrives whole', async () => {
  folder.writeProgram(programs.dies);
  const long = JSON.stringify({ text: 'x'.repeat(2 ** 20) });
  await using run = folder.run(long);
  expect(await run.outcome).toEqual(ownProcess(long));
});

test('a missing script is reported on standard output', async () => {
  rmSync(join(folder.path, 'libexec/own-process/rootlessport'));
  rmSync(join(folder.path, 'lib/resident/main.cjs'));
  await using run = folder.run(configuration);
  const { stdout, ...rest } = await run.outcome;
  expect(stdout).toMatch(/^spliceport is not installed completely: .*: No such file.*\n$/);
  expect(rest).toEqual({ code: 1, signal: null, stderr: '' });
});

test('an argument is refused as by the helper in a process of its own', async () => {
  await using run = folder.run(configuration, { args: ['more'] });
  expect(await run.outcome).toEqual({
    code: 1,
    signal: null,
    stdout: '',
    stderr: 'too many arguments, rootlessport expects a json config via STDIN\n',
  });
});
