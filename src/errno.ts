// errno.ts: the names and the texts of the system's errors.

/**
 * The name and the text of an errno.
 * @param errno - Negative, as in Node.
 */
export function describeErrno(errno: number): { readonly code: string; readonly text: string } {
  // Fetched at the first error only: most processes never need it.
  const known = process.getBuiltinModule('node:util').getSystemErrorMap().get(errno);
  if (known !== undefined) return { code: known[0], text: known[1] };
  const unknown = `Unknown system error ${errno}`;
  return { code: unknown, text: unknown };
}
