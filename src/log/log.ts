// log.ts: a log of levels and lines of JSON. Loaded only where something is logged.

import { pino } from 'pino';
import type { LineSink, Log } from './types.js';

/** What a log is made of. */
export interface LogOptions {
  readonly level: string;
  /** Facts that every line has. */
  readonly facts: object;
  readonly sink: LineSink;
}

/** Makes a log. Each line has `level`, `time`, `message` and its facts. */
export function makeLog({ level, facts, sink }: LogOptions): Log {
  // pino would write a key that a line has already a second time, which is not JSON to strict readers.
  const taken = new Set(['level', 'time', 'message', ...Object.keys(facts)]);
  return pino(
    {
      level,
      base: facts,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (own) => without(own, taken) },
    },
    sink,
  );
}

function without(own: object, taken: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(own).filter(([key]) => !taken.has(key)));
}
