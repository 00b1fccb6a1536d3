import { expect, test } from 'vitest';
import { Program } from '../helpers/program.js';
import type { ClosingWatcherApi } from './programs/closing-watcher.js';
import type { ThrowingWatcherApi } from './programs/throwing-watcher.js';

test('a watcher’s callback that throws causes an uncaughtException, and is called again', async () => {
  await using program = new Program(new URL('./programs/throwing-watcher.ts', import.meta.url));
  const outcome = await program.api<ThrowingWatcherApi>().watch();
  expect(outcome).toEqual({ caught: ['call 1', 'call 2'], calls: 3 });
});

test('a watcher that is closed is collected with all that its callbacks refer to', async () => {
  const url = new URL('./programs/closing-watcher.ts', import.meta.url);
  await using program = new Program(url, { nodeArgs: ['--expose-gc'] });
  const { watched, left } = await program.api<ClosingWatcherApi>().closeMany();
  expect(watched).toBe(100);
  expect(left).toBe(0);
});
