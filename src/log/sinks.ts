// sinks.ts: where log lines go, other than the journal, and how they are written.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { LineSink, LogFormat, LogRecord, RecordSink } from './log-types.js';

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
  }

  write(line: string): void {
    writeOrLose(this.rawFd, line);
  }

  close(): void {
    closeSync(this.rawFd);
  }
}

/** Standard error, as long as somebody reads it. */
export const standardError: LineSink = {
  write: (line) => writeOrLose(2, line),
};

/** Writes records as lines: JSON for programs, or text for people. */
export function asLines(sink: LineSink, format: LogFormat): RecordSink {
  const lineOf = format === 'text' ? textOf : ({ json }: LogRecord) => json;
  return {
    rawFd: sink.rawFd,
    write: (record) => sink.write(lineOf(record)),
    close: () => sink.close?.(),
  };
}

/** `2026-03-01T12:00:00.000Z warn 3 connects failed` */
function textOf({ time, level, message }: LogRecord): string {
  return `${time} ${level} ${message}\n`;
}

/** A full disk, or a reader who is gone, is no reason to stop. */
function writeOrLose(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // There is no place to tell it.
  }
}
