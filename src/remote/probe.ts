// probe.ts: finds out whether a shim can enter a network namespace.

import { netnsError } from '../spec/netns.js';
import { openNetns, releaseNetns } from './sections.js';
import { RequestError, type Shim } from './shim.js';

/**
 * Has the shim open a namespace and close it again.
 * @throws SpliceportError `ERR_SPLICEPORT_NETNS_GONE`
 * @throws SpliceportSystemError such as `EPERM` with side `container`
 */
export async function probeNetns(shim: Shim, path: string): Promise<void> {
  try {
    const [{ slot }] = await shim.request([openNetns(path)]);
    await shim.request([releaseNetns(slot)]);
  } catch (error) {
    throw error instanceof RequestError ? netnsError(error.failure, path) : error;
  }
}
