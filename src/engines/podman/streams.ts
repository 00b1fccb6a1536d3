// streams.ts: reads and writes that wait, also where the caller has made a descriptor non-blocking.

import { readSync, writeSync } from 'node:fs';

const CHUNK_BYTES = 64 * 1024;
const RETRY_MS = 1;

/** Reads to the end, waiting for it. */
export function readAll(fd: number): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const bytes = untilReady(() => readSync(fd, chunk));
    if (bytes === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, bytes));
  }
}

/** Writes all of it, or gives up when nobody can read it. */
export function writeAll(fd: number, text: string): void {
  try {
    for (let rest = Buffer.from(text); rest.length > 0;) {
      rest = rest.subarray(untilReady(() => writeSync(fd, rest)));
    }
  } catch {
    // Whoever should have read it is gone.
  }
}

/** Repeats a call on a descriptor that the caller has made non-blocking. */
function untilReady(call: () => number): number {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
