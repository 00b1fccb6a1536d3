// describe.ts: describes a forward in one line.

import type { Forward } from '../../index.js';
import { formatHost } from './units.js';

/** `tcp  *:8080 -> 127.0.0.1:80`. */
export function describeForward({ protocol, host, container }: Forward): string {
  return `${protocol}  ${formatHost(host)} -> ${formatHost(container)}`;
}
