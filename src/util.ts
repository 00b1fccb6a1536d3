// util.ts: what JavaScript lacks in several places.

/**
 * Gives an object the facts that are known: one that is not stays absent, rather than undefined.
 */
export function assignDefined(target: object, facts: Readonly<Record<string, unknown>>): void {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  Object.assign(target, Object.fromEntries(known));
}

/**
 * Time that never goes back. Unlike `performance.now()`, it makes a process that starts load
 * nothing. Unit: ms.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Tells files apart: the same for every path that leads to one file. */
export function fileIdentity(stats: {
  readonly dev: bigint | number;
  readonly ino: bigint | number;
}): string {
  return `${stats.dev}:${stats.ino}`;
}

/** The element of a list that has one there. */
export function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined) throw new RangeError(`There is no element ${index}`);
  return element;
}

/** Waits for a promise, but no longer than that. The time does not keep the process alive. */
export async function atMost(timeMs: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeIsUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMs).unref();
  });
  await Promise.race([promise, timeIsUp]);
  clearTimeout(timer);
}

/** A promise, and what fulfills it. */
export interface Deferred {
  readonly gone: Promise<void>;
  readonly resolve: () => void;
}

/** Makes a promise that is fulfilled from outside. */
export function deferred(): Deferred {
  let resolve!: () => void;
  const gone = new Promise<void>((settle) => (resolve = settle));
  return { gone, resolve };
}
