// plain-log.ts: log lines on standard error.

import type { Log } from './forward-reports.js';
import { remark } from './output.js';

/** Writes the time, the level and the message. */
export const plainLog: Log = {
  info: (_facts, message) => write('info', message),
  warn: (_facts, message) => write('warn', message),
};

function write(level: string, message: string): void {
  remark(`${new Date().toISOString()} ${level} ${message}`);
}
