// collisions.ts: what stands against a forward of those that the same forwarder has, or would have.

import { SpliceportError } from '../errors.js';
import { keyOf, type GrantedRange, type OpenedRange } from './host-sockets.js';
import { hostNetnsIdentity, type NetnsIdentity } from '../spec/netns.js';
import type { Endpoint, Protocol } from '../types/endpoints.js';
import type { Forward } from '../types/forwards.js';
import type { ResolvedRange } from '../spec/validate.js';
import { at } from '../util.js';

/** From where to where a forward leads. */
export interface Link {
  /** Absent until it runs. */
  readonly id?: number;
  readonly protocol: Protocol;
  readonly host: Forward['host'];
  readonly container: Endpoint;
}

type LinkAt = (hostKey: string) => Link | undefined;

type OwnerOf = (hostKey: string) => number | undefined;

/**
 * The system would refuse a port that is forwarded already, too; but it does not know by which
 * forward.
 * @param nextId - What the first of them would be called.
 * @throws SpliceportError `ERR_SPLICEPORT_ALREADY_FORWARDED`
 */
export function refuseTaken(
  wanted: readonly ResolvedRange[],
  nextId: number,
  ownerOf: OwnerOf,
): void {
  const claim = claims(ownerOf);
  let id = nextId;
  for (const { host, count } of wanted) {
    for (let offset = 0; offset < count; offset++, id++) {
      if (host.port === 0) continue;
      claim(keyOf(host.protocol, { ...host, port: host.port + offset }), id);
    }
  }
}

/**
 * The same for sockets that callers have opened, of which it is known only now where they listen.
 * @throws SpliceportError `ERR_SPLICEPORT_ALREADY_FORWARDED`
 */
export function refuseTakenSockets(
  hosts: readonly OpenedRange[],
  nextId: number,
  ownerOf: OwnerOf,
): void {
  const claim = claims(ownerOf);
  let id = nextId;
  for (const { protocol, address, dualStack, ports, givenFd } of hosts) {
    if (givenFd !== undefined) {
      claim(keyOf(protocol, { address, port: at(ports, 0), dualStack }), id);
    }
    id += ports.length;
  }
}

/**
 * Claims host endpoints for forwards; each can be had once, and none that a forward has already.
 */
function claims(ownerOf: OwnerOf): (hostKey: string, id: number) => void {
  const claimed = new Map<string, number>();
  return (hostKey, id) => {
    const forwardId = ownerOf(hostKey) ?? claimed.get(hostKey);
    if (forwardId !== undefined) {
      const message = `Forward ${forwardId} has ${hostKey} already`;
      throw new SpliceportError('ERR_SPLICEPORT_ALREADY_FORWARDED', message, { forwardId });
    }
    claimed.set(hostKey, id);
  };
}

/**
 * The links of ranges that have their host sockets, as far as they lead to the host's own
 * namespace.
 */
export function linksOf(
  wanted: readonly ResolvedRange[],
  hosts: readonly GrantedRange[],
  namespaces: readonly NetnsIdentity[],
): Link[] {
  const own = hostNetnsIdentity();
  return wanted.flatMap(({ container: { address, port } }, index) => {
    const host = hosts[index];
    if (host === undefined || namespaces[index]?.identity !== own) return [];
    const { protocol, dualStack } = host;
    return host.ports.map((hostPort, offset) => ({
      protocol,
      host: { address: host.address, port: hostPort, dualStack },
      container: { address, port: port + offset },
    }));
  });
}

/**
 * One client of a forward that leads to itself, directly or through others, would take every
 * descriptor there is.
 * @param fresh - Links into the host's own namespace that are about to be.
 * @param linkAt - The link, into the host's own namespace, that has been there and has this host
 * endpoint.
 * @throws SpliceportError `ERR_SPLICEPORT_LEADS_TO_ITSELF`
 */
export function refuseCircles(fresh: readonly Link[], linkAt: LinkAt): void {
  const byKey = new Map(fresh.map((link) => [keyOf(link.protocol, link.host), link]));
  let addresses: ReadonlySet<string> | undefined;
  const next = ({ protocol, container: { address, port } }: Link): Link | undefined => {
    const at = (host: Forward['host']): Link | undefined => {
      const key = keyOf(protocol, host);
      return byKey.get(key) ?? linkAt(key);
    };
    // What is sent to no address in particular comes to the loopback.
    const target = LOOPBACK_OF[address] ?? address;
    const exact = at({ address: target, port, dualStack: false });
    if (exact !== undefined) return exact;
    const wildcard = target.includes(':') ? '::' : '0.0.0.0';
    const any =
      at({ address: wildcard, port, dualStack: false }) ??
      at({ address: '::', port, dualStack: true });
    if (any === undefined || target.startsWith('127.')) return any;
    return (addresses ??= ownAddresses()).has(target) ? any : undefined;
  };
  for (const start of fresh) {
    const passed = new Map<string, Link>();
    for (let link: Link | undefined = start; link !== undefined; link = next(link)) {
      const key = keyOf(link.protocol, link.host);
      if (passed.has(key)) throw leadsToItself(start, [...passed.values()]);
      passed.set(key, link);
    }
  }
}

/**
 * The same for forwards that are about to have a new target.
 * @throws SpliceportError `ERR_SPLICEPORT_LEADS_TO_ITSELF`
 */
export function refuseNewCircles(
  changes: readonly { readonly forward: Forward; readonly netns: NetnsIdentity }[],
  linkAt: LinkAt,
): void {
  const own = hostNetnsIdentity();
  const changed = new Set(changes.map(({ forward }) => keyOf(forward.protocol, forward.host)));
  const inHost = changes.filter(({ netns }) => netns.identity === own);
  refuseCircles(
    inHost.map(({ forward }) => forward),
    (hostKey) => (changed.has(hostKey) ? undefined : linkAt(hostKey)),
  );
}

const LOOPBACK_OF: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

function leadsToItself(start: Link, circle: readonly Link[]): SpliceportError {
  const from = keyOf(start.protocol, start.host);
  const { address, port } = start.container;
  const message = `The forward from ${from} to ${address}:${port} leads to itself`;
  const forwardId = circle.find(({ id }) => id !== undefined)?.id;
  const options = forwardId === undefined ? {} : { forwardId };
  return new SpliceportError('ERR_SPLICEPORT_LEADS_TO_ITSELF', message, options);
}

function ownAddresses(): ReadonlySet<string> {
  const interfaces = Object.values(process.getBuiltinModule('node:os').networkInterfaces());
  return new Set(interfaces.flatMap((each) => each?.map(({ address }) => address) ?? []));
}
