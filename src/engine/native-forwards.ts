// native-forwards.ts: from what was checked and opened to what the engine is given.

import type { Netns } from '../spec/netns.js';
import type { ResolvedRange } from '../spec/validate.js';
import { at } from '../util.js';
import type { NativeForwards } from './binding.js';
import type { OpenedRange } from './host-sockets.js';

/**
 * The ranges for the engine; the ids of their ports are consecutive.
 * @param hosts - The open host sockets of each range.
 * @param namespaces - The namespace of each range.
 */
export function nativeForwards(
  owner: number,
  firstId: number,
  wanted: readonly ResolvedRange[],
  hosts: readonly OpenedRange[],
  namespaces: readonly Netns[],
): NativeForwards[] {
  let nextId = firstId;
  return wanted.map((range, index) => {
    const { container, settings, count } = range;
    const { protocol, fds } = at(hosts, index);
    const target = { netnsFd: at(namespaces, index).fd, ...container };
    const own = { owner, firstId: nextId, protocol, hostFds: fds, target };
    nextId += count;
    return { ...own, ...settings };
  });
}
