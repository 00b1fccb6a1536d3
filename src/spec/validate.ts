// validate.ts: every check of an argument and every default, so that all behind it may trust what
// it is given.

import { parseAddress } from '../address.js';
import { invalidArgType, outOfRange } from '../errors.js';
import { check, choice, integer, resolveFields } from './check.js';
import { engineFields, forwardFields } from './fields.js';
import {
  changeFields,
  closeFields,
  endpointFields,
  engineOptionFields,
  netnsFields,
  optionFields,
  requireKnownFields,
  socketFields,
  specFields,
} from './known-fields.js';
import { parsePortSpec } from './port-spec.js';
import { netnsPath } from './netns.js';
import type { NetnsReference, Protocol } from '../types/endpoints.js';
import type { ForwardSpec, SocketForwardSpec, TargetChange } from '../types/forward-spec.js';
import type { EngineHandle, EngineOptions, ForwarderOptions } from '../types/options.js';

const DEFAULT_CONTAINER_ADDRESS = '127.0.0.1';
const MAX_DRAIN_MS = 86_400_000;
const MAX_PORT = 65_535;
const MAX_FD = 2 ** 31 - 1;

/** What `add` takes. */
type AnySpec = ForwardSpec | SocketForwardSpec | string;

/** {@link ForwarderOptions} with every default filled in. */
export interface ResolvedOptions {
  readonly netnsPath: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onSessionsEnded: ForwarderOptions['onSessionsEnded'];
  /** One that is shared. */
  readonly engine: EngineHandle | undefined;
  /** Of its own, where none is shared. */
  readonly engineOptions: EngineSettings;
}

/** Settings of an engine. */
export type EngineSettings = Required<EngineOptions>;

/** Where to listen. */
export interface HostRequest {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly dualStack: boolean;
  /** An open socket; then the rest but for the protocol says nothing. */
  readonly fd?: number;
}

/**
 * Settings of a forward. A limit of 0 is none, and an empty list of those who are allowed is
 * anybody.
 */
export type ForwardSettings = Required<Pick<ForwardSpec, keyof typeof forwardFields>>;

/** A {@link ForwardSpec} with every default filled in; its ports are the first of `count`. */
export interface ResolvedRange {
  readonly host: HostRequest;
  readonly container: { readonly address: string; readonly port: number };
  readonly count: number;
  readonly netnsPath: string;
  readonly settings: ForwardSettings;
}

/** {@link TargetChange} with its namespace as a path. */
export interface ResolvedChange {
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly netnsPath: string | undefined;
}

// Options

/** Checks the options of a forwarder. */
export function resolveOptions(options: ForwarderOptions): ResolvedOptions {
  requireObject('options', options, optionFields);
  const { netns, signal, onSessionsEnded, engine } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgType('options.signal', 'an AbortSignal', signal);
  }
  if (onSessionsEnded !== undefined && typeof onSessionsEnded !== 'function') {
    throw invalidArgType('options.onSessionsEnded', 'a function', onSessionsEnded);
  }
  if (engine !== undefined) {
    for (const name of Object.keys(engineFields) as (keyof EngineOptions)[]) {
      const expected = 'nothing beside options.engine, which has it already,';
      if (options[name] !== undefined) {
        throw invalidArgType(`options.${name}`, expected, options[name]);
      }
    }
  }
  return {
    netnsPath: netns === undefined ? undefined : resolveNetns('options.netns', netns),
    signal,
    onSessionsEnded,
    engine,
    engineOptions: resolveEngine(options),
  };
}

/** Checks the options of an engine. */
export function resolveEngineOptions(options: EngineOptions): EngineSettings {
  requireObject('options', options, engineOptionFields);
  return resolveEngine(options);
}

function resolveEngine(options: EngineOptions): EngineSettings {
  return {
    ...resolveFields(engineFields, 'options', options),
    ...(options.workers === undefined && { workers: defaultWorkers() }),
  };
}

/** Checks the options of `remove` and `close`; the drain time. */
export function resolveDrainMs(options: { readonly drainMs?: number }): number {
  requireObject('options', options, closeFields);
  return integer('options.drainMs', options.drainMs ?? 0, 0, MAX_DRAIN_MS);
}

// Forwards

/** Checks a list of specifications. */
export function resolveForwards(
  specs: readonly AnySpec[],
  defaultNetnsPath: string | undefined,
): ResolvedRange[] {
  if (!Array.isArray(specs)) {
    throw invalidArgType('specs', 'an array of port specifications', specs);
  }
  return specs.map((spec: AnySpec, index) =>
    resolveRange(`specs[${index}]`, spec, defaultNetnsPath),
  );
}

/** Checks the specification of a single port. */
export function resolveSingle(spec: AnySpec, defaultNetnsPath: string | undefined): ResolvedRange {
  const range = resolveRange('spec', spec, defaultNetnsPath);
  if (range.count > 1) throw outOfRange('spec.count', '1 (addAll takes ranges)', range.count);
  return range;
}

function resolveRange(
  name: string,
  given: AnySpec,
  defaultNetnsPath: string | undefined,
): ResolvedRange {
  const spec: ForwardSpec | SocketForwardSpec =
    typeof given === 'string' ? parsePortSpec(given) : given;
  requireObject(name, spec, specFields, 'a string or an object');
  requireObject(`${name}.host`, spec.host, hasSocket(spec) ? socketFields : endpointFields);
  requireObject(`${name}.container`, spec.container, endpointFields);

  const count = integer(`${name}.count`, spec.count ?? 1, 1, hasSocket(spec) ? 1 : MAX_PORT);
  const protocol = resolveProtocol(`${name}.protocol`, spec.protocol ?? 'tcp');
  const host = resolveHost(`${name}.host`, spec, protocol, count);
  const containerPort = firstPort(`${name}.container.port`, spec.container.port, 1, count);
  const netnsPath =
    spec.netns === undefined ? defaultNetnsPath : resolveNetns(`${name}.netns`, spec.netns);
  if (netnsPath === undefined) {
    const places = `${name}.netns, or for netns in the options of the forwarder,`;
    throw invalidArgType(places, 'a network namespace', undefined);
  }
  const containerAddress = resolveAddress(
    `${name}.container.address`,
    spec.container.address ?? DEFAULT_CONTAINER_ADDRESS,
  );
  return {
    host,
    container: { address: containerAddress, port: containerPort },
    count,
    netnsPath,
    settings: resolveSettings(name, spec, protocol),
  };
}

function hasSocket(spec: ForwardSpec | SocketForwardSpec): spec is SocketForwardSpec {
  return (
    typeof spec.host === 'object' && (spec.host as object | null) !== null && 'fd' in spec.host
  );
}

/** Where to listen, or the socket that does. */
function resolveHost(
  name: string,
  spec: ForwardSpec | SocketForwardSpec,
  protocol: Protocol,
  count: number,
): HostRequest {
  if (hasSocket(spec)) {
    const fd = integer(`${name}.fd`, spec.host.fd, 0, MAX_FD);
    return { protocol, address: '::', port: 0, dualStack: true, fd };
  }
  const { address, port } = spec.host;
  return {
    protocol,
    address: address === undefined ? '::' : resolveAddress(`${name}.address`, address),
    port: firstPort(`${name}.port`, port, 0, count),
    dualStack: address === undefined,
  };
}

/** Each setting by itself, and then what does not go together. */
function resolveSettings(
  name: string,
  spec: ForwardSpec | SocketForwardSpec,
  protocol: Protocol,
): ForwardSettings {
  const settings: ForwardSettings = resolveFields(forwardFields, name, spec);
  const { sourceAddress, acceptProxy } = settings;
  if (sourceAddress === 'proxy-v1' && protocol === 'udp') {
    // Version 1 of the PROXY protocol has no datagrams.
    const expected = '"proxy-v2", or another that is not of streams alone,';
    throw outOfRange(`${name}.sourceAddress`, expected, sourceAddress);
  }
  // Headers are read from those alone who are named.
  const place = `${name}.trustedProxies`;
  if (acceptProxy) {
    check(forwardFields.trustedProxies, place, spec.trustedProxies);
  } else if (spec.trustedProxies !== undefined) {
    throw outOfRange(place, 'nothing, without acceptProxy,', spec.trustedProxies);
  }
  return settings;
}

/** Checks the new target of forwards. */
export function resolveChange(change: TargetChange): ResolvedChange {
  requireObject('change', change, changeFields);
  const { address, port, netns } = change;
  return {
    address: address === undefined ? undefined : resolveAddress('change.address', address),
    port: port === undefined ? undefined : integer('change.port', port, 1, MAX_PORT),
    netnsPath: netns === undefined ? undefined : resolveNetns('change.netns', netns),
  };
}

/** Checks one id or several; each is given once. */
export function resolveIds(ids: number | readonly number[]): number[] {
  if (typeof ids === 'number') return [resolveId('id', ids)];
  if (!Array.isArray(ids)) throw invalidArgType('ids', 'an id or an array of ids', ids);
  return [...new Set(ids.map((id: number, index) => resolveId(`ids[${index}]`, id)))];
}

export function resolveId(name: string, id: number): number {
  return integer(name, id, 1, Number.MAX_SAFE_INTEGER);
}

// Single values

function defaultWorkers(): number {
  // Fetched late: node:os is not among the modules that every process has loaded.
  return Math.min(
    engineFields.workers.default,
    process.getBuiltinModule('node:os').availableParallelism(),
  );
}

function requireObject(
  name: string,
  value: unknown,
  known: Readonly<Record<string, true>>,
  expected = 'an object',
): void {
  if (typeof value !== 'object' || value === null) throw invalidArgType(name, expected, value);
  requireKnownFields(name, value, known);
}

/** The first of `count` ports, all of which must exist; 0 stands for as many as are asked for. */
function firstPort(name: string, value: unknown, lowest: number, count: number): number {
  const port = integer(name, value, lowest, MAX_PORT);
  if (port + count - 1 > MAX_PORT && port !== 0) {
    throw outOfRange(name, `a port with ${count - 1} more above it, up to ${MAX_PORT},`, port);
  }
  return port;
}

function resolveProtocol(name: string, value: unknown): Protocol {
  return choice(name, value, ['tcp', 'udp']) as Protocol;
}

function resolveAddress(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidArgType(name, 'an IPv4 or IPv6 address', value);
  const parsed = parseAddress(value);
  if (parsed === undefined) throw outOfRange(name, 'an IPv4 or IPv6 address', value);
  return parsed.address;
}

function resolveNetns(name: string, value: NetnsReference): string {
  if (value === 'own') return netnsPath(value);
  requireObject(name, value, netnsFields, 'an object with a path or a pid');
  const { path, pid } = value as { readonly path?: unknown; readonly pid?: unknown };
  if ((path === undefined) === (pid === undefined)) {
    throw invalidArgType(name, 'an object with either a path or a pid', value);
  }
  if (pid !== undefined) {
    integer(`${name}.pid`, pid, 1, 2 ** 31 - 1);
  } else if (typeof path !== 'string') {
    throw invalidArgType(`${name}.path`, 'a string', path);
  } else if (path === '' || path.includes('\0')) {
    throw outOfRange(`${name}.path`, 'the path of a file', path);
  }
  return netnsPath(value);
}
