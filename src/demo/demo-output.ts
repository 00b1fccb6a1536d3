// demo-output.ts: the demo's lines.

import { styleText } from 'node:util';

const LABEL_WIDTH = 12;

type Format = Parameters<typeof styleText>[0];

/** Styles text if stdout is a terminal with colors; respects NO_COLOR. */
export function paint(format: Format, text: string): string {
  // The type promises a terminal, but not every stream is one.
  const isTerminal: boolean | undefined = process.stdout.isTTY;
  return isTerminal && process.stdout.hasColors() ? styleText(format, text) : text;
}

/** Prints a line with a label. */
export function show(label: string, value: string): void {
  process.stdout.write(`  ${paint('cyan', label.padEnd(LABEL_WIDTH))}${value}\n`);
}

/** Prints lines of commands, each with what it does. */
export function showCommands(label: string, commands: readonly (readonly string[])[]): void {
  const width = Math.max(...commands.map(([command = '']) => command.length));
  for (const [index, [command = '', effect = '']] of commands.entries()) {
    show(index === 0 ? label : '', `${paint('bold', command.padEnd(width))}   ${effect}`);
  }
}
