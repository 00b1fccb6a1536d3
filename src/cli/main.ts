#!/usr/bin/env node
// main.ts: the command `spliceport`.

import { CommanderError } from 'commander';
import { exitCodes, failureOf, usageFailure } from './failure.js';
import { complain, takeOutputFailures } from './output.js';
import { buildProgram } from './program.js';
import { commandMeant, withUsualWords } from './usual-words.js';

async function main(): Promise<void> {
  takeOutputFailures();
  // By default Node opens its inspector on the loopback, where any user of the machine could run
  // code in this process.
  process.on('SIGUSR1', () => undefined);
  const asked = { json: false };
  try {
    const program = buildProgram((code) => (process.exitCode = code));
    program.hook('preAction', (_, command) => {
      asked.json = command.opts<{ readonly json?: boolean }>().json === true;
    });
    const names = program.commands.map((command) => command.name());
    const words = withUsualWords(process.argv.slice(2), names);
    const [first = ''] = words;
    const meant = commandMeant(first, names);
    if (meant !== undefined) {
      throw usageFailure(`unknown command '${first}'`, `Did you mean "spliceport ${meant}"?`);
    }
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has already printed the mistake, or the help.
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
      return;
    }
    const failure = failureOf(error);
    if (asked.json) {
      const { failedEvent, jsonReport } = await import('./forward/reports.js');
      jsonReport(failedEvent(failure));
    }
    complain(failure);
    process.exitCode = failure.exitCode;
  }
}

await main();
