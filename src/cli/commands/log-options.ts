// log-options.ts: the options that say what is logged, and how.

import { Option, type Command } from 'commander';
import type { LogFormat, LogLevel } from '../../log/types.js';

/** From nothing to everything. */
const levels = ['silent', 'error', 'warn', 'info', 'debug'] as const satisfies readonly LogLevel[];
const formats = ['json', 'text'] as const satisfies readonly LogFormat[];

/** Gives a command the options. */
export function addLogOptions(command: Command): Command {
  return command
    .addOption(new Option('--log-level <level>', 'log level (default: info)').choices(levels))
    .addOption(
      new Option(
        '--log-format <format>',
        'format of log lines (default: text on a terminal, otherwise json)',
      ).choices(formats),
    )
    .option('--log-sessions', 'log each session and flow when it ends');
}
