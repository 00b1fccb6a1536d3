// version.ts: the package that a resident is of, and its version.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf } from '../unix-listener.js';

/** The package that this process was started from. */
export class OwnPackage {
  // This file and its bundle are in folders of the same depth. node:module would cost a start two
  // milliseconds.
  readonly #path = join(import.meta.dirname, '../../package.json');
  readonly #identity = identityOf(this.#path);
  readonly version = (JSON.parse(readFileSync(this.#path, 'utf8')) as { version: string }).version;

  /**
   * Whether another one has taken its place, whose modules need not fit those that are loaded. One
   * that was removed is still served by what is loaded.
   */
  isReplaced(): boolean {
    try {
      const identity = identityOf(this.#path);
      return identity !== undefined && identity !== this.#identity;
    } catch {
      return false;
    }
  }
}

/**
 * Whether a version is later than another one; what follows a hyphen is earlier than what has none.
 */
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
