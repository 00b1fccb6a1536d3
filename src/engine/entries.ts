// entries.ts: what a forwarder remembers of its forwards, and the frozen snapshots that users see of it.

import type { NativeStats } from './binding.js';
import { describeErrno } from '../errno.js';
import type { Netns } from '../spec/netns.js';
import type { Forward, Stats } from '../types.js';

/** What the forwarder knows of a forward, until it is gone. */
export interface Entry {
  forward: Forward;
  netns: Netns;
  readonly hostKey: string;
  /** Set as soon as it is being removed. */
  removal?: { readonly gone: Promise<void>; readonly resolve: () => void };
}

/** The element of a list that has as many as another. */
export function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined) throw new RangeError(`There is no element ${index}`);
  return element;
}

/** A promise, and what fulfills it. */
export function deferred(): { readonly gone: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const gone = new Promise<void>((settle) => (resolve = settle));
  return { gone, resolve };
}

/** Makes the snapshot that users are given. */
export function freezeForward(forward: Forward): Forward {
  Object.freeze(forward.host);
  Object.freeze(forward.container);
  return Object.freeze(forward);
}

/** Makes the snapshot that users are given. */
export function freezeStats({ connectErrno, ...stats }: NativeStats): Stats {
  Object.freeze(stats.connectLatency);
  return Object.freeze({
    ...stats,
    ...(connectErrno !== undefined && { connectError: describeErrno(connectErrno).code }),
  });
}
