// ports.ts: from the mappings of the configuration to forwards: expansion, and the checks in Podman's order with its
// texts.

import type { ForwardSpec, Protocol } from '../index.js';
import { parseAddress, type IpAddress } from '../system.js';
import type { Mapping } from './config.js';
import { quote } from './go-text.js';
import { isUnspecified, targetRule } from './target.js';

const PROTOCOL = /^(?:tcp|udp|sctp)[46]?$/;

/** One port, as asked for. */
interface WantedPort {
  readonly protocol: string;
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** One port that passed the checks. */
export interface CheckedPort {
  /** As asked for, such as `tcp4`. */
  readonly protocol: string;
  readonly host: IpAddress;
  readonly spec: ForwardSpec;
}

/** The ports before the first that fails, and how that one fails. */
export interface Checked {
  readonly ports: readonly CheckedPort[];
  readonly failure: string | undefined;
}

/** Every port of every mapping, in order. */
export function* expand(mappings: Iterable<Mapping>): Generator<WantedPort> {
  for (const { shape, hostAddress, hostPort, containerPort, count, protocols } of mappings) {
    // The ports of a range are uint16 in Go and wrap; the check then meets port 0.
    const wrap = (port: number) => (shape === 'range' ? port & 0xffff : port);
    for (const protocol of protocols.split(',')) {
      for (let offset = 0; offset < count; offset++) {
        yield {
          protocol,
          hostAddress: hostAddress === '' ? '0.0.0.0' : hostAddress,
          hostPort: wrap(hostPort + offset),
          containerPort: wrap(containerPort + offset),
        };
      }
    }
  }
}

/**
 * Checks ports in order, until one fails.
 * @param mostPorts - No more can be opened: with one port more it is for the system to refuse them.
 */
export function check(
  wanted: Iterable<WantedPort>,
  containerAddress: string,
  mostPorts: number,
): Checked {
  const containerProblem =
    containerAddress === '' || parseAddress(containerAddress) !== undefined
      ? undefined
      : `invalid ChildIP: ${quote(containerAddress)}`;
  const targetOf = targetRule(containerAddress);
  const ports: CheckedPort[] = [];
  const idByEndpoint = new Map<string, number>();
  const bound = new Set<string>();
  for (const port of wanted) {
    if (ports.length > mostPorts) break;
    const { protocol, hostAddress, hostPort } = port;
    if (!PROTOCOL.test(protocol)) return { ports, failure: `unknown proto: ${quote(protocol)}` };
    const host = parseAddress(hostAddress);
    if (host === undefined) return { ports, failure: `invalid ParentIP: ${quote(hostAddress)}` };
    const endpoint = `${protocol} ${hostAddress} ${hostPort}`;
    const problem = containerProblem ?? portProblem(port, host, idByEndpoint.get(endpoint));
    if (problem !== undefined) return { ports, failure: problem };
    const spec = specOf(port, host, targetOf(host.address));
    // Two spellings of one endpoint are no conflict to Podman, but the system would refuse the second.
    const socket = `${spec.protocol ?? ''} ${spec.host.address ?? '*'} ${hostPort}`;
    if (bound.has(socket)) {
      return {
        ports,
        failure: `${listenText(protocol, host, hostPort)}: bind: address already in use`,
      };
    }
    bound.add(socket);
    idByEndpoint.set(endpoint, ports.push({ protocol, host, spec }));
  }
  return { ports, failure: undefined };
}

/** The beginning of a message about a host socket. */
export function listenText(protocol: string, { family, address }: IpAddress, port: number): string {
  return `listen ${protocol} ${family === 6 ? `[${address}]` : address}:${port}`;
}

function portProblem(
  { protocol, hostPort, containerPort }: WantedPort,
  { family, address }: IpAddress,
  conflictingId: number | undefined,
): string | undefined {
  if (!isPort(hostPort)) return `invalid ParentPort: ${hostPort}`;
  if (!isPort(containerPort)) return `invalid ChildPort: ${containerPort}`;
  if (conflictingId !== undefined) return `conflict with ID ${conflictingId}`;
  if (protocol.startsWith('sctp')) return `unsupported port protocol ${protocol}`;
  const wantedFamily = protocol.slice(3);
  if (wantedFamily !== '' && wantedFamily !== String(family)) {
    return `listen ${protocol}: address ${address}: no suitable address found`;
  }
  return undefined;
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

function specOf(port: WantedPort, host: IpAddress, target: string): ForwardSpec {
  const isDualStack = port.protocol.length === 3 && isUnspecified(host.address);
  return {
    protocol: port.protocol.slice(0, 3) as Protocol,
    host: { port: port.hostPort, ...(!isDualStack && { address: host.address }) },
    container: { address: target, port: port.containerPort },
  };
}
