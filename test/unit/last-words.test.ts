import { expect, test } from 'vitest';
import { Program } from '../helpers/program.js';
import type { OutlivingApi } from './programs/outliving.js';

const program = new URL('./programs/outliving.ts', import.meta.url);

test.each([
  ['callback', 'a callback that throws'],
  ['promise', 'a rejected promise'],
] as const)(
  'a fault in a %s does not stop a helper that is ready, and is reported',
  async (kind, text) => {
    await using running = new Program(program);
    const told = await running.api<OutlivingApi>().fault(kind);
    expect(told).toEqual([expect.stringContaining(`internal fault: Error: ${text}`)]);
  },
);

test('a fault that repeats is reported once per second, not each time', async () => {
  await using running = new Program(program);
  const api = running.api<OutlivingApi>();
  const startedMs = performance.now();
  let told: readonly string[] = [];
  for (let round = 0; round < 20; round++) told = await api.fault('callback');
  const seconds = (performance.now() - startedMs) / 1_000;
  expect(told.length).toBeLessThanOrEqual(1 + Math.floor(seconds));
});
