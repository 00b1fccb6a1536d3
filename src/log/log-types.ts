// log-types.ts: what is logged, how, and where to.

import type { SomeOf, ValueOf } from '../spec/fields.js';
import type { logFields } from './log-fields.js';

/** The settings of a log. */
export type LogSettings = SomeOf<typeof logFields>;

/** How much is logged; each level has those before it. */
export type LogLevel = ValueOf<typeof logFields.level>;

/** How log lines are written. */
export type LogFormat = ValueOf<typeof logFields.format>;

/** Named values. */
export type Facts = Readonly<Record<string, unknown>>;

/** Takes what is to be logged: facts for programs, and a sentence for people. */
export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  /** Closes the log's descriptors; what is logged afterwards is lost. May be called twice. */
  close(): void;
}

export interface LogRecord {
  readonly level: string;
  /** In ISO 8601. */
  readonly time: string;
  readonly message: string;
  /** Those of every record, and its own. */
  readonly facts: Facts;
  /** All of it as a line of JSON, with its line break. */
  readonly json: string;
}

/** A place for text. Never throws and never waits. */
export interface LineSink {
  write(line: string): void;
  /** Closes its descriptors. Nothing may be written afterwards. */
  close?(): void;
  /** A descriptor that leads to the same place, for what the runtime writes when it aborts. */
  readonly rawFd?: number | undefined;
}

/** A place for records. Never throws and never waits. */
export interface RecordSink {
  write(record: LogRecord): void;
  /** As for {@link LineSink}. */
  close?(): void;
  /** As for {@link LineSink}. */
  readonly rawFd?: number | undefined;
}
