// ui-view.ts: what a forwarder tells, as the page shows it.

import { formatEndpoint } from '../../address.js';
import type { Forward, ForwarderInfo, Session, Stats } from '../../control/control-types.js';
import type {
  Counters,
  ForwarderRow,
  ForwardRow,
  SessionRow,
  Silent,
} from '../../page/page-messages.js';
import type { ContainerNames } from '../running/container-names.js';
import { forwardId, placeOf, type Running } from '../running/forwarders.js';
import { formatHost } from '../text/units.js';

/** Everything at one moment. */
export interface View {
  readonly atMs: number;
  readonly forwarders: ReadonlyMap<string, ForwarderRow>;
  readonly forwards: ReadonlyMap<string, ForwardRow>;
  readonly counters: ReadonlyMap<string, Counters>;
  readonly silent: readonly Silent[];
  /** Absent if nobody wanted them. */
  readonly sessions?: ReadonlyMap<string, SessionRow>;
}

/** @param startedAtMs - Of the server's clock; the uptime of each answer would differ a little. */
export function forwarderRow(
  { id, info }: Running & { readonly info: ForwarderInfo },
  startedAtMs: number,
  names: ContainerNames,
): ForwarderRow {
  const {
    program,
    version,
    draining,
    notices,
    container: { id: container = '', name } = {},
  } = info;
  return {
    id,
    program,
    version,
    container: name ?? names.get(container) ?? container.slice(0, 12),
    startedAtMs,
    draining,
    notices,
  };
}

export function forwardRow(
  forwarder: Running,
  forward: Forward,
  names: ContainerNames,
): ForwardRow {
  const { protocol, host, container, sourceAddress, warning } = forward;
  return {
    id: forwardId(forwarder, forward.id),
    forwarder: forwarder.id,
    protocol,
    host: formatHost(host),
    hostPort: host.port,
    target: formatEndpoint(container),
    targetAddress: container.address,
    targetPort: container.port,
    place: placeOf(forwarder, forward, names),
    sourceAddress,
    ...(warning !== undefined && { warning }),
  };
}

export function countersOf({ connectLatency, ...stats }: Stats): Counters {
  return { ...stats, connects: connectLatency.reduce((sum, each) => sum + each, 0) };
}

/** @param nowMs - When the forwarder was asked. */
export function sessionRow(forwarder: Running, session: Session, nowMs: number): SessionRow {
  const forward = forwardId(forwarder, session.forwardId);
  const { protocol, client, target, source, state, ageMs } = session;
  const from = formatEndpoint(client);
  return {
    key: `${forward} ${protocol} ${from}`,
    forward,
    protocol,
    client: from,
    target: formatEndpoint(target),
    source: source === undefined ? '' : formatEndpoint(source),
    state,
    openedAtMs: Math.round(nowMs - ageMs),
    toContainer: session.bytesToContainer,
    toHost: session.bytesToHost,
  };
}
