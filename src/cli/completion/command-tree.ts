// command-tree.ts: what a shell can complete, taken from the commands.

import type { Command } from 'commander';

/** Where the words for a value come from; a list is the words themselves. */
export type ValueSource =
  | 'container'
  | 'forward'
  | 'forwarder'
  | 'forward-or-forwarder'
  /** In addition to any file. */
  | 'netns'
  | 'none'
  | 'pid'
  | readonly string[];

/** An option of a command. */
export interface CompletedOption {
  /** Such as `-q`. */
  readonly short: string | undefined;
  /** Such as `--quiet`. */
  readonly long: string;
  readonly description: string;
  /** Undefined if it takes no value. */
  readonly value: { readonly name: string; readonly source: ValueSource } | undefined;
}

/** A command. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** Its arguments, all of one kind. */
  readonly argument: { readonly name: string; readonly source: ValueSource } | undefined;
}

/** Everything that can be completed. */
export interface CompletedProgram {
  readonly options: readonly CompletedOption[];
  readonly commands: readonly CompletedCommand[];
}

const optionSources: Readonly<Record<string, ValueSource>> = {
  '--container': 'container',
  '--netns': 'netns',
  '--pid': 'pid',
  '--to': 'forwarder',
};

const argumentSources: Readonly<Record<string, ValueSource>> = {
  drain: 'forwarder',
  rm: 'forward',
  sessions: 'forward-or-forwarder',
  stats: 'forward-or-forwarder',
};

/**
 * Shell commands that print the words of a source, one per line. They work in every POSIX shell and
 * in fish.
 */
export const listingCommands = {
  container:
    "podman ps --format '{{.Names}}' 2>/dev/null; docker ps --format '{{.Names}}' 2>/dev/null",
  forward: 'spliceport ls --quiet 2>/dev/null | grep /',
  forwarder: 'spliceport ls --quiet 2>/dev/null | cut -d/ -f1 | uniq',
  'forward-or-forwarder':
    'spliceport ls --quiet 2>/dev/null | grep /; spliceport ls --quiet 2>/dev/null | cut -d/ -f1 | uniq',
  netns: 'find /run/netns -mindepth 1 -maxdepth 1 2>/dev/null',
  pid: "ps -eo pid= | tr -d ' '",
} as const;

/** Reads the commands. */
export function describeProgram(program: Command): CompletedProgram {
  const commands = program.createHelp().visibleCommands(program);
  const names = commands.map((command) => command.name());
  return {
    options: optionsOf(program),
    commands: commands.map((command) => ({
      name: command.name(),
      summary: command.summary() || command.description(),
      options: optionsOf(command),
      argument: argumentOf(command, names),
    })),
  };
}

function optionsOf(command: Command): CompletedOption[] {
  const options = command.createHelp().visibleOptions(command);
  return options.map(({ short, long = '', description, flags, required, argChoices }) => ({
    short,
    long,
    description,
    value: required
      ? {
          name: /<(.+)>/.exec(flags)?.[1] ?? 'value',
          source: argChoices ?? optionSources[long] ?? 'none',
        }
      : undefined,
  }));
}

function argumentOf(command: Command, names: readonly string[]): CompletedCommand['argument'] {
  const [argument] = command.registeredArguments;
  if (argument === undefined) return undefined;
  const source: ValueSource =
    command.name() === 'help'
      ? names
      : (argument.argChoices ?? argumentSources[command.name()] ?? 'none');
  return { name: argument.name(), source };
}
