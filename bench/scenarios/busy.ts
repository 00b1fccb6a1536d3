// busy.ts: programs that take all processors for as long as a measurement lasts.

import { availableParallelism } from 'node:os';
import type { Lab } from '../lab.js';
import { hold } from '../load.js';
import type { Timing } from '../types.js';

const PROGRAMS = 2;
/**
 * What starting and stopping a forwarder and its server may take beside the measurement. Unit:
 * seconds.
 */
const MARGIN_SECONDS = 30;

/** Runs `act` beside two programs that have a thread for each processor between them. */
export async function besideBusyPrograms<T>(
  lab: Lab,
  timing: Timing,
  act: () => Promise<T>,
): Promise<T> {
  const threads = Math.ceil(availableParallelism() / PROGRAMS);
  // They end by themselves too, whatever becomes of the benchmark.
  const seconds = timing.warmup + timing.seconds + MARGIN_SECONDS;
  const programs = await Promise.all(
    Array.from({ length: PROGRAMS }, () => hold(lab, [], 'busy', { threads, seconds })),
  );
  const finish = (): Promise<Readonly<Record<string, number>>[]> =>
    Promise.all(programs.map((program) => program.finish()));
  let result: T;
  try {
    result = await act();
  } catch (error) {
    await finish();
    throw error;
  }
  if ((await finish()).some(({ tooShort }) => tooShort === 1)) {
    throw new Error(`took longer than the ${seconds} s of the busy programs`);
  }
  return result;
}
