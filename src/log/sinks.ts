// sinks.ts: where log lines go, other than the journal.

import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { textOf } from './lines.js';
import type { LineSink } from './types.js';

/** A file that lines are added to; what else it holds stays. */
export class LogFile implements LineSink {
  readonly rawFd: number;

  /**
   * Opens it, and makes it where there is none.
   * @throws Error such as ENOENT where there is no such folder
   */
  constructor(path: string) {
    const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
    // Not waiting: it may be a pipe that nobody reads.
    this.rawFd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o600);
    if (fstatSync(this.rawFd).isDirectory()) throw new Error(`${path} is a folder`);
  }

  write(line: string): void {
    writeOrLose(this.rawFd, line);
  }
}

/** Standard error, as long as somebody reads it. */
export const standardError: LineSink = {
  write: (line) => writeOrLose(2, line),
};

/** The same lines as text for people. */
export function asText(sink: LineSink): LineSink {
  return { rawFd: sink.rawFd, write: (line) => sink.write(`${textOf(line)}\n`) };
}

/** A full disk, or a reader who is gone, is no reason to stop. */
function writeOrLose(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // There is no place to tell it.
  }
}
