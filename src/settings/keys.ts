// keys.ts: the parts of settings files that are the same whether a file is checked or applied.

import { engineFields, forwardFields, type Field } from '../spec/fields.js';
import { forwarderFields } from './forwarder-fields.js';

export const MAX_PORT = 65_535;

export const portExpected = `expected a port from 1 to ${MAX_PORT}, or a range such as "8000-8010"`;

/** Names of the settings that concern a forwarder as a whole. */
export const forwarderKeys: readonly string[] = [
  ...Object.keys(engineFields),
  ...Object.keys(forwarderFields),
  'log',
];

/**
 * Names of the settings that keep clients out. A forward is never opened without those that it
 * should have.
 */
export const gateKeys: readonly string[] = Object.entries<Field>(forwardFields).flatMap(
  ([key, { isGate }]) => (isGate ? [key] : []),
);

/** The first and the last port of `443`, or of `8000-8010`. */
export function portsOf(hostPort: number | string): readonly [number, number] {
  const [first = 0, last = first] = String(hostPort).split('-').map(Number);
  return [first, last];
}
