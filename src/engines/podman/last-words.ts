// last-words.ts: tells the user why the helper ends. Imported first, so that it speaks for every module after it.

import { oneLine } from './one-line.js';
import { writeAll } from './streams.js';

/** A message is cut off here, so that it fits into a pipe that nobody reads yet. */
const MAX_LENGTH = 16_384;
const QUIET_MS = 1_000;

/** Ends the process with a message on standard output, which is what Podman shows. */
export function fail(error: unknown): never {
  const text = error instanceof Error ? error.message : String(error);
  writeAll(1, `${oneLine(text).slice(0, MAX_LENGTH)}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);

/**
 * From now on a fault costs what it happened in, and nothing else: the process serves others than whoever asks it.
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
