// fish.ts: the completion script for fish.

import {
  listingCommands,
  type CompletedOption,
  type CompletedProgram,
  type ValueSource,
} from './command-tree.js';

/** The script. */
export function fishScript({ options, commands }: CompletedProgram): string {
  const atFirst = '-n __fish_use_subcommand';
  const lines = [
    '# Completion of spliceport for fish: spliceport completion fish > ~/.config/fish/completions/spliceport.fish',
    'complete -c spliceport -f',
    ...options.map((option) => optionLine(option, atFirst)),
    ...commands.map(
      ({ name, summary }) =>
        `complete -c spliceport ${atFirst} -a ${quote(name)} -d ${quote(summary)}`,
    ),
    ...commands.flatMap(({ name, options: own, argument }) => {
      const after = `-n ${quote(`__fish_seen_subcommand_from ${name}`)}`;
      const ownLines = own.map((option) => optionLine(option, after));
      if (argument === undefined || argument.source === 'none') return ownLines;
      return [...ownLines, `complete -c spliceport ${after} ${values(argument.source)}`];
    }),
  ];
  return `${lines.join('\n')}\n`;
}

function optionLine({ short, long, description, value }: CompletedOption, when: string): string {
  const parts = ['complete -c spliceport', when];
  if (short !== undefined) parts.push(`-s ${short.slice(1)}`);
  parts.push(`-l ${long.slice(2)}`);
  // -x: a value that is not a file; -rF: a value that may be a file.
  if (value !== undefined) {
    parts.push(value.source === 'netns' ? '-rF' : '-x', values(value.source));
  }
  parts.push(`-d ${quote(description)}`);
  return parts.filter((part) => part !== '').join(' ');
}

/** What fish completes a value with. */
function values(source: ValueSource): string {
  if (source === 'none') return '';
  const words = typeof source === 'string' ? `(${listingCommands[source]})` : source.join(' ');
  return `-a ${quote(words)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
