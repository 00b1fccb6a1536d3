// zsh.ts: the completion script for zsh, for a folder of fpath or to be sourced.

import {
  listingCommands,
  type CompletedCommand,
  type CompletedOption,
  type CompletedProgram,
  type ValueSource,
} from './command-tree.js';

/** The script. */
export function zshScript({ options, commands }: CompletedProgram): string {
  const listings = Object.entries(listingCommands).map(
    ([source, command]) => `${functionName(source)}() {
  local -a found
  found=(\${(f)"$(${command})"})
  compadd -a found
}`,
  );
  const described = commands.map(({ name, summary }) => {
    return `        ${quote(`${name}:${summary}`)}`;
  });
  return `#compdef spliceport
# Completion of spliceport for zsh: spliceport completion zsh > "\${fpath[1]}/_spliceport"
${listings.join('\n')}
_spliceport() {
  local curcontext="$curcontext" state line
  local -a commands
  _arguments -C ${[...options.map(optionSpec), quote('1: :->command'), quote('*:: :->rest')].join(' ')}
  case $state in
    command)
      commands=(
${described.join('\n')}
      )
      _describe command commands ;;
    rest)
      case $line[1] in
${commands.map(commandCase).join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _spliceport ]]; then
  _spliceport "$@"
else
  compdef _spliceport spliceport
fi
`;
}

function commandCase({ name, options, argument }: CompletedCommand): string {
  const specs = options.map(optionSpec);
  if (argument !== undefined) {
    specs.push(quote(`*:${argument.name}:${action(argument.source)}`));
  }
  return `        ${name}) _arguments ${specs.join(' ')} ;;`;
}

function optionSpec({ short, long, description, value }: CompletedOption): string {
  const explained = `[${description.replaceAll(/[[\]]/g, String.raw`\$&`).replaceAll(':', String.raw`\:`)}]`;
  if (value !== undefined) {
    return quote(`${long}=${explained}:${value.name}:${action(value.source)}`);
  }
  if (short === undefined) return quote(`${long}${explained}`);
  return `${quote(`(${short} ${long})`)}{${short},${long}}${quote(explained)}`;
}

/** What zsh completes a value with. */
function action(source: ValueSource): string {
  if (source === 'none') return ' ';
  if (source === 'netns') return `{${functionName(source)}; _files}`;
  return typeof source === 'string' ? functionName(source) : `(${source.join(' ')})`;
}

function functionName(source: string): string {
  return `_spliceport_${source.replaceAll('-', '_')}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
