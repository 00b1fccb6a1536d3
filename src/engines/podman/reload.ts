// reload.ts: gives running forwards the container's new address.

import type { Forward } from '../../index.js';
import type { ForwarderOperations } from '../../operations.js';
import { parseAddress } from '../../address.js';
import { parseJson, stringOf } from './go-json.js';
import { quote } from '../../rootlesskit/go-text.js';
import { oneLine } from './one-line.js';
import { targetRule } from '../../rootlesskit/target-rule.js';

/**
 * Carries out a request of Podman's; all or nothing.
 * @param onAddress - Told the container's new address, which is empty where Podman gives none.
 * @returns `OK`, or what failed.
 */
export async function reload(
  request: string,
  forwarder: ForwarderOperations,
  onAddress: (containerAddress: string) => void,
): Promise<string> {
  let containerAddress: string;
  try {
    containerAddress = decode(request);
  } catch (error) {
    return `rootless port failed to decode ports: ${oneLine((error as Error).message)}`;
  }
  if (containerAddress !== '' && parseAddress(containerAddress) === undefined) {
    return `rootless port failed to add port: invalid ChildIP: ${quote(containerAddress)}`;
  }
  try {
    await retargetAll(forwarder, containerAddress);
  } catch (error) {
    return `rootless port failed to add port: ${oneLine((error as Error).message)}`;
  }
  onAddress(containerAddress);
  return 'OK';
}

function decode(request: string): string {
  const { kind, text } = parseJson(request);
  if (kind === 'null') return '';
  if (kind === 'string') return stringOf(text);
  throw new TypeError(`json: cannot unmarshal ${kind} into Go value of type string`);
}

/** Swaps the targets, and swaps them back when one cannot be. */
async function retargetAll(
  forwarder: ForwarderOperations,
  containerAddress: string,
): Promise<void> {
  const forwards = forwarder.list();
  const targetOf = targetRule(containerAddress);
  const before = idsByAddress(forwards, ({ container }) => container.address);
  const after = idsByAddress(forwards, ({ host }) => targetOf(host.address));
  try {
    for (const [address, ids] of after) await forwarder.retarget(ids, { address });
  } catch (error) {
    for (const [address, ids] of before) await forwarder.retarget(ids, { address });
    throw error;
  }
}

function idsByAddress(
  forwards: readonly Forward[],
  addressOf: (forward: Forward) => string,
): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const forward of forwards) {
    const address = addressOf(forward);
    const ids = groups.get(address);
    if (ids === undefined) groups.set(address, [forward.id]);
    else ids.push(forward.id);
  }
  return groups;
}
