// engine-errors.ts: the errors of what an engine could not do.

import { SpliceportSystemError } from '../errors.js';
import { hostSocketHint, netnsHint } from '../hints.js';
import type { Forward } from '../types/forwards.js';
import { at } from '../util.js';
import type { NativeFailure } from './binding.js';
import type { GrantedRange } from './host-sockets.js';

/** Why none of some forwards could be added. */
export function addError(
  failure: NativeFailure,
  hosts: readonly GrantedRange[],
): SpliceportSystemError {
  const { protocol, address, ports } = at(hosts, 0);
  const host = { protocol, address, port: at(ports, 0) };
  const hint = hostSocketHint(failure, host);
  return new SpliceportSystemError(failure, { side: 'host', ...host, hint });
}

/** Why none of some forwards could get a new target. */
export function retargetError(
  failure: NativeFailure,
  forwards: readonly Pick<Forward, 'container' | 'protocol'>[],
): SpliceportSystemError {
  const { protocol, container } = forwards[failure.index ?? 0] ?? {};
  const hint = netnsHint(failure);
  return new SpliceportSystemError(failure, { side: 'container', protocol, ...container, hint });
}
