// examples.ts: the examples at the end of a command's help and manual page.

import type { Command } from 'commander';

/** A line of a command's examples. */
export interface Example {
  readonly command: string;
  /** What it does, in a few words. */
  readonly effect: string;
}

const examples = new WeakMap<Command, readonly Example[]>();

/** The examples of a command. */
export function examplesOf(command: Command): readonly Example[] {
  return examples.get(command) ?? [];
}

/** Adds examples to the end of a command's help. */
export function give(command: Command, list: readonly Example[]): void {
  examples.set(command, list);
  command.addHelpText('after', () =>
    [
      '',
      'Examples:',
      ...list.flatMap(({ command: line, effect }) => [`  ${line}`, `      ${effect}`]),
    ].join('\n'),
  );
}
