// output.ts: what is printed. Data goes to standard output, everything else to standard error.

import { styleText } from 'node:util';
import { exitCodes, type CliFailure } from './failure.js';

type Format = Parameters<typeof styleText>[0];

/** Prints a line of data. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints a value as one line of JSON. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** Prints a line that is no data. */
export function remark(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Styles text where the stream is a terminal with colors; NO_COLOR and FORCE_COLOR are respected. */
export function paint(stream: NodeJS.WriteStream, format: Format, text: string): string {
  // Not every stream is a terminal, whatever its type says.
  const isTerminal: boolean | undefined = stream.isTTY;
  return isTerminal && stream.hasColors() ? styleText(format, text) : text;
}

/** Says what went wrong, and what to do about it. */
export function complain({ message, hint }: CliFailure): void {
  remark(`${paint(process.stderr, 'red', 'spliceport:')} ${message}`);
  if (hint !== undefined) remark(hint);
}

/**
 * Takes failures to print. A reader that leaves early, such as head(1), is none; a full disk is told of once, and the exit
 * code is not that of success.
 */
export function takeOutputFailures(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    remark(`spliceport: cannot write to stdout: ${error.message}`);
    process.on('exit', (code) => {
      if (code === exitCodes.done) process.exitCode = exitCodes.failed;
    });
  });
  // There is no place to tell it.
  process.stderr.on('error', () => undefined);
}
