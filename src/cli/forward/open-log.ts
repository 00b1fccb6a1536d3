// open-log.ts: the log of `spliceport forward` and `spliceport rootlesskit`, on stderr.

import { asLines, standardError } from '../../log/sinks.js';
import { tellsOfSessions } from '../../log/session-lines.js';
import type { LineSink, Log, LogFormat, LogLevel, LogSettings } from '../../log/log-types.js';
import { remark } from '../output.js';

/** Options for the log. They win over the settings file. */
export interface LogOptions {
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
  /** Whether to log each session when it ends. */
  readonly logSessions?: boolean;
  /** Whose log it is. Default: that of `spliceport forward`. */
  readonly program?: string;
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
 * Opens the log: by default text on a terminal, otherwise lines of JSON.
 * @param above - Writes lines above the live line at the foot of a terminal.
 */
export async function openLog(
  options: LogOptions,
  settings: LogSettings = {},
  above?: (write: () => void) => void,
): Promise<Log> {
  const level = options.logLevel ?? settings.level ?? 'info';
  const usual = above === undefined ? 'json' : 'text';
  const format = options.logFormat ?? settings.format ?? usual;
  // Through the stream, which buffers what nobody reads yet: there are many lines for sessions.
  const streamed: LineSink = { write: (line) => remark(line.trimEnd()) };
  const usualSink = hasSessions(options, settings) ? streamed : standardError;
  const sink: LineSink =
    above === undefined ? usualSink : { write: (line) => above(() => streamed.write(line)) };
  const { makeLog } = await import('../../log/log.js');
  const facts = { program: options.program ?? 'spliceport forward', pid: process.pid };
  return makeLog({ level, facts, sink: asLines(sink, format) });
}
