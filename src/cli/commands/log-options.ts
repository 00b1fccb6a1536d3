// log-options.ts: the options that say what is logged, and how.

import { Option, type Command } from 'commander';
import { logFields } from '../../log/log-fields.js';

/** Gives a command the options. */
export function addLogOptions(command: Command): Command {
  const { level, format } = logFields;
  return command
    .addOption(
      new Option('--log-level <level>', `log level (default: ${level.default})`).choices(
        level.values,
      ),
    )
    .addOption(
      new Option(
        '--log-format <format>',
        'format of log lines (default: text on a terminal, otherwise json)',
      ).choices(format.values),
    )
    .option('--log-sessions', 'log each session and flow when it ends');
}
