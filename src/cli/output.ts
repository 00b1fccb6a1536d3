// output.ts: prints data to stdout and everything else to stderr.

import { paint } from '../paint.js';
import { exitCodes, type CliFailure } from './failure.js';

/** Prints a line of data. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints a value as one line of JSON. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** Prints a line that is not data. */
export function remark(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Prints what went wrong, and what to do about it. */
export function complain({ message, hint }: CliFailure): void {
  remark(`${paint(process.stderr, 'red', 'spliceport:')} ${message}`);
  if (hint !== undefined) remark(hint);
}

/**
 * Handles failures to print. A reader that exits early, such as head(1), is not a failure; a full
 * disk is reported once, and changes the exit code.
 */
export function takeOutputFailures(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    remark(`spliceport: cannot write to stdout: ${error.message}`);
    process.on('exit', (code) => {
      if (code === exitCodes.done) process.exitCode = exitCodes.failed;
    });
  });
  // There is nowhere left to report it.
  process.stderr.on('error', () => undefined);
}
