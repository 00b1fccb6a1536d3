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
  return pino(
    {
      level,
      base: facts,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
}
