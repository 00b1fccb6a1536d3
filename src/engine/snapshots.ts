// snapshots.ts: the frozen objects that users get.

import type { NativeStats } from './binding.js';
import { describeErrno } from '../errno.js';
import type { Forward, Stats } from '../types.js';

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
