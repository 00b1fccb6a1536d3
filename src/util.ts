// util.ts: what JavaScript lacks in several places.

/** Gives an object the facts that are known: one that is not stays absent, rather than undefined. */
export function assignDefined(target: object, facts: Readonly<Record<string, unknown>>): void {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  Object.assign(target, Object.fromEntries(known));
}

/** Tells files apart: the same for every path that leads to one file. */
export function fileIdentity(stats: {
  readonly dev: bigint | number;
  readonly ino: bigint | number;
}): string {
  return `${stats.dev}:${stats.ino}`;
}
