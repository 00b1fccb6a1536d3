// version.ts: versions of the package.

import { createRequire } from 'node:module';

/** Of this one. */
export function ownVersion(): string {
  // By its name, so that it is found from wherever this file is bundled to.
  const require = createRequire(import.meta.filename);
  return (require('spliceport/package.json') as { version: string }).version;
}

/** Whether a version is later than another one; what follows a hyphen is earlier than what has none. */
export function isLater(version: string, than: string): boolean {
  const [parts, others] = [partsOf(version), partsOf(than)];
  for (const [index, part] of parts.numbers.entries()) {
    const difference = part - (others.numbers[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return parts.rest === '' && others.rest !== '';
}

function partsOf(version: string): { readonly numbers: number[]; readonly rest: string } {
  const [release = '', rest = ''] = version.split(/-(.*)/s);
  return { numbers: release.split('.').map(Number), rest };
}
