// forward-log.ts: the log of `spliceport forward`, on standard error.

import { asText, standardError } from '../log/sinks.js';
import type { LineSink, Log } from '../log/types.js';
import type { LogFormat, LogLevel, LogSettings } from '../settings/types.js';
import { remark } from './output.js';

/** What the command line says of the log. It comes before the settings file. */
export interface LogOptions {
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
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
  const sink: LineSink =
    above === undefined ? standardError : { write: (line) => above(() => remark(line.trimEnd())) };
  const { makeLog } = await import('../log/log.js');
  const facts = { program: 'spliceport forward', pid: process.pid };
  return makeLog({ level, facts, sink: format === 'text' ? asText(sink) : sink });
}
