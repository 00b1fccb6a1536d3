import { expect, test } from 'vitest';
import { Program } from '../helpers/program.js';
import type { ThrowingWatcherApi } from './programs/throwing-watcher.js';

test('a watcher’s callback that throws causes an uncaughtException, and is called again', async () => {
  await using program = new Program(new URL('./programs/throwing-watcher.ts', import.meta.url));
  const outcome = await program.api<ThrowingWatcherApi>().watch();
  expect(outcome).toEqual({ caught: ['call 1', 'call 2'], calls: 3 });
});
