// keys.ts: the parts of settings files that are the same whether a file is checked or applied.

import type { ForwarderSettings } from './types.js';

export const MAX_PORT = 65_535;

export const portExpected = `expected a port from 1 to ${MAX_PORT}, or a range such as "8000-8010"`;

const concernsForwarder: Readonly<Record<keyof ForwarderSettings, true>> = {
  workers: true,
  spinMicros: true,
  nearRttMicros: true,
  pipeCapacityBytes: true,
  controlSocket: true,
  reloadSocket: true,
  log: true,
};

/** Names of the settings that concern a forwarder as a whole. */
export const forwarderKeys: readonly string[] = Object.keys(concernsForwarder);

/** The first and the last port of `443`, or of `8000-8010`. */
export function portsOf(hostPort: number | string): readonly [number, number] {
  const [first = 0, last = first] = String(hostPort).split('-').map(Number);
  return [first, last];
}
