#!/usr/bin/env node
// main.ts: the command `spliceport`.

import { CommanderError } from 'commander';
import { exitCodes, failureOf } from './failure.js';
import { complain } from './output.js';
import { buildProgram } from './program.js';

/** A reader that leaves early, such as head(1), is no failure. */
function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreBrokenPipe);
  try {
    await buildProgram((code) => (process.exitCode = code)).parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said what was wrong, or shown the help that was asked for.
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
      return;
    }
    const failure = failureOf(error);
    complain(failure);
    process.exitCode = failure.exitCode;
  }
}

await main();
