// config.ts: the configuration that Podman writes to the helper's standard input, read by Go's
// rules. Speaks Podman's words (ChildIP, host_port …); what leaves it does not, except where a
// message must.

import type { WantedRange } from '../../rootlesskit/ports.js';
import { elementsOf, foldKey, membersOf, parseJson, stringOf, type JsonSource } from './go-json.js';

/** A published port or range of ports, in either of the two shapes that Podman has had. */
export interface Mapping {
  /** `range` for the shape of Podman 4 and later, `single` for that of Podman 3. */
  readonly shape: 'range' | 'single';
  /** As written; empty when none was. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly count: number;
  /** As written: names with commas between them. */
  readonly protocols: string;
}

/** The configuration, with zero values for what is not given. */
export interface Config {
  readonly mappings: readonly Mapping[];
  readonly netnsPath: string;
  readonly exitFd: number;
  readonly readyFd: number;
  readonly folder: string;
  /** The container's address; empty when it is reached by its loopback. */
  readonly containerAddress: string;
  readonly containerId: string;
  readonly wantsReloadSocket: boolean;
  /** Absent for Podman's helper. */
  readonly program?: string;
}

/** A field of a Go struct: where it stands, for the messages, and its type. */
interface Field {
  readonly path: string;
  readonly type: string;
}

const CONFIG_FIELDS = fields('Config', {
  Mappings: '[]types.PortMapping',
  NetNSPath: 'string',
  ExitFD: 'int',
  ReadyFD: 'int',
  TmpDir: 'string',
  ChildIP: 'string',
  ContainerID: 'string',
  RootlessCNI: 'bool',
  // Not Podman's: dockerd's proxies write it.
  Program: 'string',
});

const RANGE_FIELDS = fields('PortMapping.Mappings', {
  host_ip: 'string',
  container_port: 'uint16',
  host_port: 'uint16',
  range: 'uint16',
  protocol: 'string',
});

const SINGLE_FIELDS = fields('PortMapping.Mappings', {
  hostPort: 'int32',
  containerPort: 'int32',
  protocol: 'string',
  hostIP: 'string',
});

/** The keys that only the shape with ranges has. */
const RANGE_KEYS: ReadonlySet<string> = new Set(
  ['host_ip', 'container_port', 'host_port', 'range'].map(foldKey),
);

const INTEGER_BOUNDS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint16: [0n, 65_535n],
};

/**
 * Reads the configuration.
 * @throws Error with the text for the user
 */
export function decodeConfig(input: Buffer): Config {
  const source = parseJson(input.toString('utf8'));
  if (source.kind !== 'object' && source.kind !== 'null') {
    throw new TypeError(
      `json: cannot unmarshal ${source.kind} into Go value of type rootlessport.Config`,
    );
  }
  const values =
    source.kind === 'null' ? new Map<string, unknown>() : decode(source, CONFIG_FIELDS);
  return {
    mappings: (values.get('Mappings') ?? []) as Mapping[],
    netnsPath: textIn(values, 'NetNSPath'),
    exitFd: numberIn(values, 'ExitFD'),
    readyFd: numberIn(values, 'ReadyFD'),
    folder: textIn(values, 'TmpDir'),
    containerAddress: textIn(values, 'ChildIP'),
    containerId: textIn(values, 'ContainerID'),
    wantsReloadSocket: values.get('RootlessCNI') === true,
    ...(values.has('Program') && { program: textIn(values, 'Program') }),
  };
}

/** Every range of every mapping, one for each protocol, in order. */
export function* expand(mappings: Iterable<Mapping>): Generator<WantedRange> {
  for (const { protocols, hostAddress, hostPort, containerPort, count } of mappings) {
    if (count === 0) continue;
    for (const protocol of protocols.split(',')) {
      const address = hostAddress === '' ? '0.0.0.0' : hostAddress;
      yield { protocol, hostAddress: address, hostPort, containerPort, count };
    }
  }
}

function decodeMapping(source: JsonSource): Mapping {
  const isRange =
    source.kind === 'object' &&
    [...membersOf(source)].some(({ key }) => RANGE_KEYS.has(foldKey(key)));
  if (source.kind === 'null') return singleMapping(new Map());
  if (source.kind !== 'object') {
    throw mismatch(source, { path: 'Config.Mappings', type: 'types.PortMapping' });
  }
  if (!isRange) return singleMapping(decode(source, SINGLE_FIELDS));
  const values = decode(source, RANGE_FIELDS);
  return {
    shape: 'range',
    hostAddress: textIn(values, 'host_ip'),
    hostPort: numberIn(values, 'host_port'),
    containerPort: numberIn(values, 'container_port'),
    count: values.has('range') ? numberIn(values, 'range') : 1,
    protocols: textIn(values, 'protocol'),
  };
}

function singleMapping(values: ReadonlyMap<string, unknown>): Mapping {
  return {
    shape: 'single',
    hostAddress: textIn(values, 'hostIP'),
    hostPort: numberIn(values, 'hostPort'),
    containerPort: numberIn(values, 'containerPort'),
    count: 1,
    protocols: textIn(values, 'protocol'),
  };
}

function fields(owner: string, types: Readonly<Record<string, string>>) {
  return new Map(
    Object.entries(types).map(([name, type]) => [
      foldKey(name),
      { name, path: `${owner}.${name}`, type },
    ]),
  );
}

/**
 * The fields that an object gives, by name. Keys that no field has are passed over, a later value
 * replaces an earlier.
 */
function decode(object: JsonSource, known: ReturnType<typeof fields>): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const { key, value } of membersOf(object)) {
    const field = known.get(foldKey(key));
    if (field === undefined) continue;
    if (value.kind !== 'null') values.set(field.name, decodeValue(value, field));
    // Go leaves a number, text or truth value as it is; a list becomes none.
    else if (field.type.startsWith('[]')) values.delete(field.name);
  }
  return values;
}

function decodeValue(source: JsonSource, field: Field): unknown {
  if (source.kind === 'string' && field.type === 'string') return stringOf(source.text);
  if (source.kind === 'bool' && field.type === 'bool') return source.text === 'true';
  if (source.kind === 'array' && field.type.startsWith('[]')) {
    return [...elementsOf(source)].map(decodeMapping);
  }
  const bounds = INTEGER_BOUNDS[field.type];
  if (source.kind !== 'number' || bounds === undefined) throw mismatch(source, field);
  return decodeInteger(source, field, bounds);
}

function decodeInteger(
  source: JsonSource,
  field: Field,
  [lowest, highest]: readonly [bigint, bigint],
): number {
  // Go takes digits alone: neither 80.0 nor 8e1, and no sign where the type has none.
  const spelling = lowest < 0n ? /^-?\d{1,19}$/ : /^\d{1,19}$/;
  const value = spelling.test(source.text) ? BigInt(source.text) : undefined;
  if (value === undefined || value < lowest || value > highest) {
    throw mismatch({ ...source, kind: 'number' }, field, ` ${source.text}`);
  }
  return Number(value);
}

function mismatch(source: JsonSource, { path, type }: Field, literal = ''): TypeError {
  const what = `${source.kind}${literal}`;
  return new TypeError(
    `json: cannot unmarshal ${what} into Go struct field ${path} of type ${type}`,
  );
}

function textIn(values: ReadonlyMap<string, unknown>, name: string): string {
  return (values.get(name) ?? '') as string;
}

function numberIn(values: ReadonlyMap<string, unknown>, name: string): number {
  return (values.get(name) ?? 0) as number;
}
