// last-words.ts: tells the user why the helper ends. Imported first, so that it speaks for every
// module after it.

import { lastWords } from './one-line.js';
import { writeAll } from './streams.js';

const QUIET_MS = 1_000;

/** Ends the process with a message on standard output, which is what Podman shows. */
export function fail(error: unknown): never {
  writeAll(1, `${lastWords(error)}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);

/**
 * From now on a fault costs what it happened in, and nothing else: the process serves others than
 * whoever asks it.
 * @param tell - Told of it, at most once a second: a fault that repeats must not fill a disk.
 */
export function outlive(tell: (problem: string) => void): void {
  let quietUntilMs = 0;
  process.off('uncaughtException', fail).on('uncaughtException', (error: unknown) => {
    const nowMs = performance.now();
    if (nowMs < quietUntilMs) return;
    quietUntilMs = nowMs + QUIET_MS;
    tell(
      `internal fault: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  });
}
