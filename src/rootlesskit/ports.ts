// ports.ts: turns requested ports into forwards, with RootlessKit's checks, in its order and with
// its texts.

import type { ForwardSpec, Protocol } from '../index.js';
import { formatEndpoint, isUnspecified, parseAddress, type IpAddress } from '../address.js';
import { quote } from './go-text.js';
import { targetRule } from './target-rule.js';

const PROTOCOL = /^(?:tcp|udp|sctp)[46]?$/;

/** Consecutive ports of one protocol, as requested. */
export interface WantedRange {
  /** Such as `tcp4`. */
  readonly protocol: string;
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly count: number;
}

/** Consecutive ports that passed the checks. */
export interface CheckedRange {
  readonly protocol: string;
  readonly host: IpAddress;
  readonly spec: ForwardSpec & { readonly count: number };
}

/** The ports before the first that fails, and how that one fails. */
export interface Checked {
  readonly ranges: readonly CheckedRange[];
  readonly failure: string | undefined;
}

/**
 * Checks ports in order, until one fails.
 * @param maxPorts - The most that can be opened: one more is left for the system to reject.
 */
export function check(
  wanted: Iterable<WantedRange>,
  containerAddress: string,
  maxPorts: number,
): Checked {
  const isReachable = containerAddress === '' || parseAddress(containerAddress) !== undefined;
  const targetOf = targetRule(containerAddress);
  const claims = new Claims();
  const ranges: CheckedRange[] = [];
  for (const range of wanted) {
    if (claims.total > maxPorts) break;
    const { protocol, hostAddress } = range;
    const refuse = (failure: string): Checked => ({ ranges, failure });
    if (!PROTOCOL.test(protocol)) return refuse(`unknown proto: ${quote(protocol)}`);
    const host = parseAddress(hostAddress);
    if (host === undefined) return refuse(`invalid ParentIP: ${quote(hostAddress)}`);
    if (!isReachable) return refuse(`invalid ChildIP: ${quote(containerAddress)}`);
    const { count, failure } = claims.take(range, host);
    if (count > 0) {
      const spec = specOf({ ...range, count }, host, targetOf(host.address));
      ranges.push({ protocol, host, spec });
    }
    if (failure !== undefined) return refuse(failure);
  }
  return { ranges, failure: undefined };
}

/** The start of a message about a host socket. */
export function listenText(protocol: string, { address }: IpAddress, port: number): string {
  return `listen ${protocol} ${formatEndpoint({ address, port })}`;
}

/** The ports that passed so far. */
class Claims {
  /** The id of each port, by protocol and address as written. */
  readonly #ids = new Map<string, Map<number, number>>();
  /**
   * Podman sees no conflict in two spellings of one endpoint, but the system would reject the
   * second.
   */
  readonly #sockets = new Map<string, Set<number>>();
  /** How many there are so far, which is the id of the last. */
  total = 0;

  /** Adds the ports of a range until one fails: how many passed, and how that one fails. */
  take(range: WantedRange, host: IpAddress): { count: number; failure?: string } {
    const { protocol, hostAddress, hostPort, containerPort } = range;
    const ids = entryOf(this.#ids, `${protocol} ${hostAddress}`, Map<number, number>);
    const address = isDualStack(protocol, host) ? '*' : host.address;
    const protocolFailure = protocolProblem(protocol, host);
    const sockets = entryOf(this.#sockets, `${transportOf(protocol)} ${address}`, Set<number>);
    for (let count = 0; count < range.count; count++) {
      const port = nth(hostPort, count);
      const failure =
        portProblem(port, nth(containerPort, count)) ??
        conflictWith(ids.get(port)) ??
        protocolFailure ??
        (sockets.has(port)
          ? `${listenText(protocol, host, port)}: bind: address already in use`
          : undefined);
      if (failure !== undefined) return { count, failure };
      this.total += 1;
      ids.set(port, this.total);
      sockets.add(port);
    }
    return { count: range.count };
  }
}

function entryOf<T>(entries: Map<string, T>, key: string, Entry: new () => T): T {
  let entry = entries.get(key);
  if (entry === undefined) entries.set(key, (entry = new Entry()));
  return entry;
}

/**
 * A port of a range. In Go, ports are uint16: after 65535 comes 0, which the check then rejects.
 */
function nth(first: number, offset: number): number {
  return offset === 0 ? first : (first + offset) & 0xffff;
}

function portProblem(hostPort: number, containerPort: number): string | undefined {
  if (!isPort(hostPort)) return `invalid ParentPort: ${hostPort}`;
  return isPort(containerPort) ? undefined : `invalid ChildPort: ${containerPort}`;
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

function conflictWith(id: number | undefined): string | undefined {
  return id === undefined ? undefined : `conflict with ID ${id}`;
}

function protocolProblem(protocol: string, { family, address }: IpAddress): string | undefined {
  if (protocol.startsWith('sctp')) return 'unsupported port protocol sctp';
  const wantedFamily = protocol.slice(3);
  return wantedFamily === '' || wantedFamily === String(family)
    ? undefined
    : `listen ${protocol}: address ${address}: no suitable address found`;
}

function specOf(range: WantedRange, host: IpAddress, target: string): CheckedRange['spec'] {
  const { protocol, hostPort, containerPort, count } = range;
  return {
    protocol: transportOf(protocol),
    host: { port: hostPort, ...(!isDualStack(protocol, host) && { address: host.address }) },
    container: { address: target, port: containerPort },
    count,
  };
}

/** Only `tcp` and `udp` without a digit are for both families. */
function isDualStack(protocol: string, host: IpAddress): boolean {
  return protocol.length === 3 && isUnspecified(host.address);
}

function transportOf(protocol: string): Protocol {
  return protocol.slice(0, 3) as Protocol;
}
