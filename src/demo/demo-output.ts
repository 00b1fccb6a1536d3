// demo-output.ts: the demo's lines.

import { paint } from '../paint.js';

const LABEL_WIDTH = 12;

/** Prints a line with a label. */
export function show(label: string, value: string): void {
  process.stdout.write(`  ${paint(process.stdout, 'cyan', label.padEnd(LABEL_WIDTH))}${value}\n`);
}

/** Prints lines of commands, each with what it does. */
export function showCommands(label: string, commands: readonly (readonly string[])[]): void {
  const width = Math.max(...commands.map(([command = '']) => command.length));
  for (const [index, [command = '', effect = '']] of commands.entries()) {
    show(
      index === 0 ? label : '',
      `${paint(process.stdout, 'bold', command.padEnd(width))}   ${effect}`,
    );
  }
}
