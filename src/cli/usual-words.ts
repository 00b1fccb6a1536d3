// usual-words.ts: words that people try first, because other programs have them.

/** What other programs call the commands. */
const commandOf: Readonly<Record<string, string>> = {
  config: 'settings',
  delete: 'rm',
  expose: 'forward',
  fwd: 'forward',
  publish: 'forward',
  remove: 'rm',
  watch: 'top',
};

/**
 * The words of a command line with those in place of them that this program has.
 * @param names - Those of all commands.
 */
export function withUsualWords(args: readonly string[], names: readonly string[]): string[] {
  const [first, second] = args;
  if (first === 'version' || first === '-v') return ['--version'];
  // The help of a command that does not exist would be that of the program, and say nothing of it.
  if (first === 'help' && second !== undefined && ![...names, 'help'].includes(second))
    return [second];
  return [...args];
}

/**
 * The command that a word stands for elsewhere, or would in lower case; undefined for others, mistyped ones among them.
 * @param names - Those of all commands.
 */
export function commandMeant(word: string, names: readonly string[]): string | undefined {
  if (names.includes(word)) return undefined;
  const lower = word.toLowerCase();
  return names.includes(lower) ? lower : commandOf[lower];
}
