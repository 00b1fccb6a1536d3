// usual-words.ts: names of commands that people try first, because other programs use them.

/** Names that other programs use. */
const commandOf: Readonly<Record<string, string>> = {
  config: 'settings',
  install: 'enable',
  delete: 'rm',
  expose: 'forward',
  fwd: 'forward',
  podman: 'enable',
  publish: 'forward',
  remove: 'rm',
  uninstall: 'disable',
  watch: 'top',
};

/**
 * The arguments, with the names of other programs replaced by this program's.
 * @param names - The names of all commands.
 */
export function withUsualWords(args: readonly string[], names: readonly string[]): string[] {
  const [first, second] = args;
  if (first === 'version' || first === '-v') return ['--version'];
  // Commander shows the program's own help for a command that does not exist, and does not mention
  // it.
  if (first === 'help' && second !== undefined && ![...names, 'help'].includes(second)) {
    return [second];
  }
  return [...args];
}

/**
 * The command that a word means elsewhere, or would in lower case; undefined for other words,
 * including typos.
 * @param names - The names of all commands.
 */
export function commandMeant(word: string, names: readonly string[]): string | undefined {
  if (names.includes(word)) return undefined;
  const lower = word.toLowerCase();
  return names.includes(lower) ? lower : commandOf[lower];
}
