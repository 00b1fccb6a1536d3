// log.ts: the log of `spliceport forward`, on standard error.

import { asLines, standardError } from '../../log/sinks.js';
import { tellsOfSessions } from '../../log/session-lines.js';
import type { LineSink, Log, LogFormat, LogLevel, LogSettings } from '../../log/types.js';
import { remark } from '../output.js';

/** What the command line says of the log. It comes before the settings file. */
export interface LogOptions {
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
  /** Whether there is a line for each session that has ended. */
  readonly logSessions?: boolean;
}

/** Whether the log has lines for sessions. */
export function hasSessions(options: LogOptions, settings: LogSettings = {}): boolean {
  const { sessions = false, level = 'info' } = settings;
  return tellsOfSessions({
    sessions: options.logSessions ?? sessions,
    level: options.logLevel ?? level,
  });
}

/**
 * Opens the log: lines of JSON, or text on a terminal, where not told otherwise.
 * @param above - How lines are written where a live line is at the foot of a terminal.
 */
export async function openLog(
  options: LogOptions,
  settings: LogSettings = {},
  above?: (write: () => void) => void,
): Promise<Log> {
  const level = options.logLevel ?? settings.level ?? 'info';
  const usual = above === undefined ? 'json' : 'text';
  const format = options.logFormat ?? settings.format ?? usual;
  // Through the stream, which holds back what nobody reads: lines for sessions are many.
  const streamed: LineSink = { write: (line) => remark(line.trimEnd()) };
  const usualSink = hasSessions(options, settings) ? streamed : standardError;
  const sink: LineSink =
    above === undefined ? usualSink : { write: (line) => above(() => streamed.write(line)) };
  const { makeLog } = await import('../../log/log.js');
  const facts = { program: 'spliceport forward', pid: process.pid };
  return makeLog({ level, facts, sink: asLines(sink, format) });
}
