// usual-words.ts: words that people try first, because other programs have them.

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
