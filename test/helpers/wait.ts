// wait.ts: waiting for a condition, with a deadline in place of a guess.

import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;

type Truthy<T> = Exclude<T, undefined | null | false | 0 | ''>;

/**
 * Polls until `probe` gives something truthy, and gives that; an error that names `what` after
 * `withinMs`.
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  what: string,
  withinMs = 5_000,
): Promise<Truthy<T>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await probe();
    if (value) return value as Truthy<T>;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await delay(POLL_MS);
  }
}

/** Polls until `read` has given the same value for `quietMs`, and gives it. */
export async function settled<T>(
  read: () => T | Promise<T>,
  what: string,
  quietMs = 250,
  withinMs = 20_000,
): Promise<T> {
  let value = await read();
  let since = performance.now();
  await until(
    async () => {
      const next = await read();
      if (next !== value) {
        value = next;
        since = performance.now();
      }
      return performance.now() - since >= quietMs;
    },
    `${what} comes to rest`,
    withinMs,
  );
  return value;
}

/**
 * Polls for `forMs`, and wants `condition` to hold each time; an error that says `what` does not
 * stay so otherwise.
 */
export async function staysTrueFor(
  forMs: number,
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const elapsedMs = performance.now() - begin;
    if (!(await condition())) {
      throw new Error(`${what}: not any more after ${Math.round(elapsedMs)} ms of ${forMs}`);
    }
    if (elapsedMs >= forMs) return;
    await delay(Math.min(POLL_MS, forMs - elapsedMs));
  }
}

/** The promise's value, or an error that names `what` after `withinMs`. */
export async function within<T>(promise: Promise<T>, what: string, withinMs = 10_000): Promise<T> {
  const timer = new AbortController();
  const late = delay(withinMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what}: not within ${withinMs} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    late.catch(() => undefined);
    timer.abort();
  }
}
