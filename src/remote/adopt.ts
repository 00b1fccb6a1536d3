// adopt.ts: takes over the forwards of a shim that comes from an earlier resident.

import type { Entry } from '../engine/forward-table.js';
import { keyOf } from '../engine/host-sockets.js';
import { freezeForward } from '../engine/snapshots.js';
import { OWN_NETNS, shownNetnsPath } from '../spec/netns.js';
import { deferred } from '../util.js';
import type { ShimState } from './messages.js';
import type { OpenedNetns } from './sections.js';
import type { ShimNamespaces } from './shim-netns.js';

/**
 * The forwards that a shim has. Those that take clients are counted as users of their namespaces.
 */
export function adoptedEntries(
  { namespaces, forwards }: ShimState,
  held: ShimNamespaces,
): Entry<OpenedNetns>[] {
  const bySlot = new Map(namespaces.map((netns) => [netns.slot, netns]));
  return forwards.map(({ isDraining, slot, ...facts }) => {
    const known = bySlot.get(slot);
    const opened = { slot, identity: known?.identity ?? '' };
    const { id, protocol, host, container, sourceAddress } = facts;
    const path = known?.path === '' ? OWN_NETNS : (known?.path ?? '');
    return {
      forward: freezeForward({
        ...{ id, protocol, host, container, sourceAddress },
        netnsPath: shownNetnsPath(path),
      }),
      netns: isDraining ? opened : held.hold(opened, 1),
      hostKey: keyOf(protocol, host),
      ...(isDraining && { removal: deferred() }),
    };
  });
}
