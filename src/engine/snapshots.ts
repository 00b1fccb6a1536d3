// snapshots.ts: the frozen objects that users get.

import type { NativeStats } from './binding.js';
import { describeErrno } from '../errno.js';
import { shownNetnsPath } from '../spec/netns.js';
import type { ResolvedChange, ResolvedRange } from '../spec/validate.js';
import type { Stats } from '../types/forward-stats.js';
import type { Forward } from '../types/forwards.js';
import type { GrantedRange } from './host-sockets.js';

/** Freezes it, with the objects in it. */
export function freezeForward(forward: Forward): Forward {
  Object.freeze(forward.host);
  Object.freeze(forward.container);
  return Object.freeze(forward);
}

/** What becomes of a forward with a new target; a warning is not part of it. */
export function retargetedForward(
  { container, warning: _, ...forward }: Forward,
  { address, port, netnsPath }: ResolvedChange,
): Omit<Forward, 'warning'> {
  return {
    ...forward,
    container: { address: address ?? container.address, port: port ?? container.port },
    netnsPath: netnsPath === undefined ? forward.netnsPath : shownNetnsPath(netnsPath),
  };
}

/** Counters for users: the last cause of a failed connect by its name. */
export function freezeStats({ connectErrno, ...stats }: NativeStats): Stats {
  Object.freeze(stats.connectLatency);
  return Object.freeze({
    ...stats,
    ...(connectErrno !== undefined && { connectError: describeErrno(connectErrno).code }),
  });
}

/**
 * The forwards of a range that runs, one for each port.
 * @param warning - What the user of each should know, if anything.
 */
export function forwardsOf(
  firstId: number,
  { container, netnsPath, settings }: ResolvedRange,
  { protocol, address, dualStack, ports }: GrantedRange,
  warning: { readonly warning?: string },
): Forward[] {
  return ports.map((port, offset) =>
    freezeForward({
      id: firstId + offset,
      protocol,
      host: { address, port, dualStack },
      container: { address: container.address, port: container.port + offset },
      netnsPath: shownNetnsPath(netnsPath),
      sourceAddress: settings.sourceAddress,
      ...warning,
    }),
  );
}
