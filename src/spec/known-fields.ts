// known-fields.ts: the fields that each object of a caller may have, so that a misspelt one is
// refused and not passed over.

import { unknownFields } from '../errors.js';
import { engineFields, forwardFields } from './fields.js';
import type { Endpoint, NetnsReference } from '../types/endpoints.js';
import type { ForwardSpec, SocketForwardSpec, TargetChange } from '../types/forward-spec.js';
import type { CloseOptions, EngineOptions, ForwarderOptions } from '../types/options.js';

/** Every field of T, and no other. */
type FieldsOf<T> = Readonly<Record<keyof T, true>>;
type KeyOfEach<T> = T extends unknown ? keyof T : never;

export const endpointFields: FieldsOf<Endpoint> = { address: true, port: true };

export const netnsFields: Readonly<Record<KeyOfEach<Exclude<NetnsReference, string>>, true>> = {
  path: true,
  pid: true,
};

export const socketFields: FieldsOf<SocketForwardSpec['host']> = { fd: true };

export const closeFields: FieldsOf<CloseOptions> = { drainMs: true };

export const changeFields: FieldsOf<TargetChange> = { address: true, port: true, netns: true };

export const engineOptionFields: FieldsOf<EngineOptions> = namesOf(engineFields);

export const optionFields: FieldsOf<ForwarderOptions> = {
  netns: true,
  ...engineOptionFields,
  engine: true,
  onSessionsEnded: true,
  signal: true,
};

export const specFields: FieldsOf<ForwardSpec> = {
  protocol: true,
  host: true,
  container: true,
  count: true,
  netns: true,
  ...namesOf(forwardFields),
};

function namesOf<T extends object>(table: T): FieldsOf<T> {
  return Object.fromEntries(Object.keys(table).map((name) => [name, true])) as FieldsOf<T>;
}

/** Refuses fields that nothing reads. */
export function requireKnownFields(
  name: string,
  value: object,
  known: Readonly<Record<string, true>>,
): void {
  const unknown = Object.keys(value).filter((field) => !Object.hasOwn(known, field));
  if (unknown.length > 0) throw unknownFields(name, unknown, Object.keys(known));
}
