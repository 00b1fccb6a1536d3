// port-spec.ts: the port specification that people type after `-p`, to and from a ForwardSpec.

import { formatEndpoint, parseAddress } from '../address.js';
import { invalidArgType, invalidPortSpec } from '../errors.js';
import type { Protocol } from '../types/endpoints.js';
import type { ForwardSpec } from '../types/forward-spec.js';
import type { Forward } from '../types/forwards.js';

interface PortRange {
  readonly first: number;
  readonly count: number;
}

const RANGE = /^\d+(?:-\d+)?$/;

/**
 * Reads `[hostIP:]hostPort[-end]:[containerIP:]containerPort[-end][/protocol]`.
 *
 * IPv6 addresses are in brackets. With host port 0, the kernel picks one. Both ranges have the same
 * length.
 * @example parsePortSpec('[::1]:8080-8089:80-89/tcp')
 * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`, `ERR_SPLICEPORT_INVALID_PORT_SPEC`
 */
export function parsePortSpec(spec: string): ForwardSpec {
  if (typeof spec !== 'string') throw invalidArgType('spec', 'a string', spec);
  const slash = spec.lastIndexOf('/');
  const protocol = slash < 0 ? 'tcp' : parseProtocol(spec, spec.slice(slash + 1));
  const fields = splitFields(spec, slash < 0 ? spec : spec.slice(0, slash));
  const { hostAddress, hostPorts, containerAddress, containerPorts } = assignFields(spec, fields);

  const host = parsePorts(spec, 'host', hostPorts, 0);
  const container = parsePorts(spec, 'container', containerPorts, 1);
  if (host.first === 0 && host.count > 1) {
    throw invalidPortSpec(spec, 'a range of host ports cannot start at 0');
  }
  if (host.first !== 0 && host.count !== container.count) {
    throw invalidPortSpec(
      spec,
      `${host.count} host ports do not match ${container.count} container ports`,
    );
  }
  return {
    protocol,
    host: { ...(hostAddress !== undefined && { address: hostAddress }), port: host.first },
    container: {
      ...(containerAddress !== undefined && { address: containerAddress }),
      port: container.first,
    },
    ...(container.count > 1 && { count: container.count }),
  };
}

/**
 * The port specification of a forward, or of a `ForwardSpec`; defaults are left out, except the
 * protocol. {@link parsePortSpec} reads it. It cannot express the namespace or other settings.
 */
export function formatPortSpec(spec: ForwardSpec | Forward): string {
  const count = 'count' in spec ? (spec.count ?? 1) : 1;
  const everyAddress = 'dualStack' in spec.host && spec.host.dualStack;
  const { address: target } = spec.container;
  const hostPorts = formatPorts(spec.host.port, spec.host.port === 0 ? 1 : count);
  const host = formatSide(everyAddress ? undefined : spec.host.address, hostPorts);
  const containerPorts = formatPorts(spec.container.port, count);
  const container = formatSide(target === '127.0.0.1' ? undefined : target, containerPorts);
  return `${host}:${container}/${spec.protocol ?? 'tcp'}`;
}

function parseProtocol(spec: string, text: string): Protocol {
  const protocol = text.toLowerCase();
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw invalidPortSpec(spec, `the protocol ${JSON.stringify(text)} is not tcp or udp`);
  }
  return protocol;
}

/** Splits at colons, except those in brackets. */
function splitFields(spec: string, text: string): string[] {
  const fields = text.match(/\[[^\]]*\]|[^:[\]]+/g) ?? [];
  if (fields.join(':') !== text) {
    throw invalidPortSpec(
      spec,
      'a field is empty, or a bracket is missing (IPv6 addresses must be in brackets)',
    );
  }
  return fields;
}

/** Assigns the fields: one that is not a port or a range of ports must be an address. */
function assignFields(spec: string, fields: readonly string[]) {
  const rest = [...fields];
  const hostAddress = takeAddress(spec, rest);
  const hostPorts = rest.shift();
  const containerAddress = takeAddress(spec, rest);
  const containerPorts = rest.shift();
  if (hostPorts === undefined || containerPorts === undefined) {
    throw invalidPortSpec(
      spec,
      'it needs a host port and a container port (with host port 0, the kernel picks one)',
    );
  }
  if (rest.length > 0) {
    const advice =
      'IPv6 addresses must be in brackets, and each specification is one forward or range';
    throw invalidPortSpec(spec, `too many fields; ${advice}`);
  }
  return { hostAddress, hostPorts, containerAddress, containerPorts };
}

function takeAddress(spec: string, fields: string[]): string | undefined {
  const [field] = fields;
  if (field === undefined || RANGE.test(field)) return undefined;
  if (field.startsWith('[') && !field.includes(':')) {
    throw invalidPortSpec(spec, 'only IPv6 addresses may be in brackets');
  }
  const parsed = parseAddress(field.startsWith('[') ? field.slice(1, -1) : field);
  if (parsed === undefined) {
    throw invalidPortSpec(
      spec,
      `${JSON.stringify(field)} is not an IP address, a port or a range of ports`,
    );
  }
  fields.shift();
  return parsed.address;
}

function parsePorts(spec: string, side: string, text: string, lowest: number): PortRange {
  if (!RANGE.test(text)) {
    throw invalidPortSpec(spec, `the ${side} port ${JSON.stringify(text)} is not a number`);
  }
  const [first = 0, last = first] = text.split('-').map(Number);
  if (first < lowest || last > 65_535 || first > 65_535) {
    throw invalidPortSpec(spec, `the ${side} port ${text} is not between ${lowest} and 65535`);
  }
  if (last < first) {
    throw invalidPortSpec(spec, `the range of ${side} ports ${text} ends before it starts`);
  }
  return { first, count: last - first + 1 };
}

function formatSide(address: string | undefined, ports: string): string {
  return address === undefined ? ports : formatEndpoint({ address, port: ports });
}

function formatPorts(first: number, count: number): string {
  return count === 1 ? String(first) : `${first}-${first + count - 1}`;
}
