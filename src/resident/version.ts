// version.ts: versions of the package.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of this one. */
export function ownVersion(): string {
  // This file and its bundle are in folders of the same depth. node:module would cost a start two milliseconds.
  const text = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
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
