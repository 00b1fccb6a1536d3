// bash.ts: the completion script for bash. It does not need bash-completion.

import { listingCommands, type CompletedProgram, type ValueSource } from './command-tree.js';

/** The script. */
export function bashScript({ options, commands }: CompletedProgram): string {
  const names = commands.map(({ name }) => name);
  const values = commands.flatMap(({ name, options: own }) =>
    own.flatMap(({ long, value }) =>
      value === undefined
        ? []
        : [`    ${quote(`${name} ${long}`)}) ${complete(value.source)}; return ;;`],
    ),
  );
  const atFirst = { name: "''", options, argument: { source: names } };
  const words = [atFirst, ...commands].map(({ name, options: own, argument }) =>
    [
      `    ${name})`,
      `      case $current in`,
      `        -*) ${complete(flagsOf(own))} ;;`,
      `        *) ${complete(argument?.source ?? 'none')} ;;`,
      `      esac ;;`,
    ].join('\n'),
  );
  return `# Completion of spliceport for bash: source <(spliceport completion bash)
_spliceport() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= i
  COMPREPLY=()
  # --option=value arrives as three words.
  if [[ $current == '=' ]]; then
    current=
  elif [[ $previous == '=' ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} != -* ]]; then
      command=\${COMP_WORDS[i]}
      break
    fi
  done
  case "$command $previous" in
${values.join('\n')}
  esac
  case $command in
${words.join('\n')}
  esac
}
complete -F _spliceport spliceport
`;
}

function flagsOf(options: CompletedProgram['options']): string[] {
  return options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long]));
}

/** The commands that complete the current word from a source. */
function complete(source: ValueSource): string {
  if (source === 'none') return ':';
  const words =
    typeof source === 'string' ? `"$(${listingCommands[source]})"` : quote(source.join(' '));
  const chosen = `compgen -W ${words} -- "$current"`;
  if (source !== 'netns') return `mapfile -t COMPREPLY < <(${chosen})`;
  const both = `{ ${chosen}; compgen -f -- "$current"; } | sort -u`;
  return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(${both})`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
