#!/usr/bin/env node
// main.ts: the command `spliceport`.

import { CommanderError } from 'commander';
import { exitCodes, failureOf } from './failure.js';
import { complain, takeOutputFailures } from './output.js';
import { buildProgram } from './program.js';

async function main(): Promise<void> {
  takeOutputFailures();
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
