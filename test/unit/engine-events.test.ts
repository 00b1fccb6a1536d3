import { expect, test } from 'vitest';
import { Program } from '../helpers/program.js';
import type { ThrowingEventsApi } from './programs/throwing-events.js';

test('an event handler that throws causes an uncaughtException each time, and gets the next event', async () => {
  await using program = new Program(new URL('./programs/throwing-events.ts', import.meta.url));
  const { caught, ids } = await program.api<ThrowingEventsApi>().remove();
  expect(ids.sort()).toEqual([1, 2, 3, 4]);
  expect(caught.sort()).toEqual(['event 1', 'event 2', 'event 3']);
});
