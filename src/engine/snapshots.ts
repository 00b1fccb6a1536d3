// snapshots.ts: the frozen objects that users get.

import type { NativeStats } from './binding.js';
import { describeErrno } from '../errno.js';
import { shownNetnsPath } from '../spec/netns.js';
import type { ResolvedRange } from '../spec/validate.js';
import type { Forward, Stats } from '../types.js';
import type { OpenedRange } from './host-sockets.js';

/** Freezes it, with the objects in it. */
export function freezeForward(forward: Forward): Forward {
  Object.freeze(forward.host);
  Object.freeze(forward.container);
  return Object.freeze(forward);
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
  { protocol, address, dualStack, ports }: OpenedRange,
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
