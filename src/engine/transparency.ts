// transparency.ts: finds out whether servers in a namespace can be shown their clients' addresses,
// and says so where not.

import { binding, type NativeFailure } from './binding.js';
import { SpliceportSystemError } from '../errors.js';
import { transparencyHint } from '../hints.js';
import type { Netns } from '../spec/netns.js';

/** Why servers do not see their clients' addresses. */
export function transparencyWarning(failure: NativeFailure, path: string): string {
  const { message } = new SpliceportSystemError(failure, { side: 'container', path });
  return `Servers do not see their clients' addresses: ${message}. ${transparencyHint(failure)}`;
}

/** What is known of the namespaces of a forwarder. */
export class Transparency {
  readonly #warnings = new WeakMap<Netns, string | undefined>();

  /**
   * A sentence if it is not permitted or not supported there. Told to the process once for each
   * namespace, because its forwards work all the same, in the ordinary way.
   */
  warningFor(netns: Netns, path: string): string | undefined {
    if (this.#warnings.has(netns)) return this.#warnings.get(netns);
    const failure = binding.prepareTransparency(netns.fd);
    const warning = failure && transparencyWarning(failure, path);
    if (warning !== undefined) {
      process.emitWarning(warning, {
        type: 'SpliceportWarning',
        code: 'SPLICEPORT_NOT_TRANSPARENT',
      });
    }
    this.#warnings.set(netns, warning);
    return warning;
  }
}
