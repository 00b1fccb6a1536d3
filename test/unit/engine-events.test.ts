import { expect, test } from 'vitest';
import { Program } from '../helpers/program.js';
import type { ThrowingEventsApi } from './programs/throwing-events.js';

test('makes what an event handler throws an uncaughtException each time, and tells of the next event', async () => {
  await using program = new Program(new URL('./programs/throwing-events.ts', import.meta.url));
  const { caught, ids } = await program.api<ThrowingEventsApi>().remove();
  expect(ids.sort()).toEqual([1, 2, 3, 4]);
  expect(caught.sort()).toEqual(['event 1', 'event 2', 'event 3']);
});
