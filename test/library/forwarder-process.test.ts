import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { bundle, Program } from '../helpers/program.js';
import { useContainer } from '../helpers/use-container.js';
import { staysTrueFor, within } from '../helpers/wait.js';
import type { NoThreadsApi } from './programs/no-threads.js';

/** Longer than a process takes that has nothing to do any more. */
const STAYS_MS = 300;

const fixture = useContainer();

test('an engine that gets no descriptor fails with EMFILE and the side, and leaves nothing open or changed', async () => {
  await using second = await Container.start();
  const program = bundle(new URL('./programs/few-descriptors.ts', import.meta.url));
  const command = `ulimit -n 100 && exec "$@"`;
  const args = [process.execPath, program, String(fixture.container.pid), String(second.pid)];
  const { stdout } = await promisify(execFile)('sh', ['-c', command, 'sh', ...args]);
  expect(stdout.trim().split('\n')).toEqual([
    'EMFILE host true, 0 left open',
    'EMFILE container true, 0 left open',
    '1 true',
  ]);
});

test('a process that may have no more threads gets EAGAIN with the call, and ports still open', async () => {
  const source = new URL('./programs/no-threads.ts', import.meta.url);
  await using program = new Program(source, { asOtherUser: true });
  const failure = { code: 'EAGAIN', syscall: 'pthread_create', hint: true };
  expect(await program.api<NoThreadsApi>().run()).toEqual({
    start: failure,
    add: { ...failure, side: 'container' },
    retarget: { ...failure, side: 'container' },
    many: 100,
    warnings: [[true, true, 1]],
  });
});

/** Runs the program up to the end of its deed. */
async function run(deed: string) {
  const program = bundle(new URL('./programs/keep-alive.ts', import.meta.url));
  const child = spawn(process.execPath, [program, deed, String(fixture.container.pid)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  expect(String((await once(child.stdout, 'data'))[0])).toBe('done\n');
  return { child, exited };
}

describe('a process with a forwarder', () => {
  test.each([
    'nothing',
    'a failed add',
    'a removed forward',
    'an unref',
    'an unref after the add',
    'an unref of both on one engine',
    'the end of the only one with a forward on an engine',
  ])('exits by itself after %s', async (deed) => {
    const { exited } = await run(deed);
    expect(await within(exited, 'the end of the process')).toEqual([0, null]);
  });

  test.each(['a forward', 'an unref taken back', 'a forward of another on the same engine'])(
    'keeps running after %s',
    async (deed) => {
      const { child, exited } = await run(deed);
      const isRunning = () => child.exitCode === null && child.signalCode === null;
      await staysTrueFor(STAYS_MS, isRunning, 'the process runs');
      child.kill();
      expect(await exited).toEqual([null, 'SIGTERM']);
    },
  );
});
