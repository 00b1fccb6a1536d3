// specs.ts: the port specifications of the command line.

import { parsePortSpec, type ForwardSpec } from '../index.js';

/**
 * Reads all of them before anything is done.
 * @throws TypeError `ERR_SPLICEPORT_INVALID_PORT_SPEC`
 */
export function parseSpecs(texts: readonly string[]): ForwardSpec[] {
  return texts.map((text) => parsePortSpec(text));
}
