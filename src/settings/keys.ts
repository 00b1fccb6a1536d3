// keys.ts: the parts of settings files that are the same whether a file is checked or applied.

import type { ForwarderSettings, ForwardSettings } from './types.js';

export const MAX_PORT = 65_535;

export const portExpected = `expected a port from 1 to ${MAX_PORT}, or a range such as "8000-8010"`;

export const blockExpected = 'expected an IP address, or a block such as "10.0.0.0/8"';

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

const isGate: Readonly<Record<keyof ForwardSettings, boolean>> = {
  acceptProxy: true,
  allow: true,
  connectTimeoutMs: false,
  deny: true,
  keepaliveIdleMs: false,
  keepaliveIntervalMs: false,
  keepaliveProbes: false,
  maxFlows: true,
  maxSessions: true,
  maxSessionsPerSecond: true,
  proxyHeaderTimeoutMs: false,
  sourceAddress: false,
  trustedProxies: true,
  udpSegmentation: false,
  udpTimeoutMs: false,
};

/** Names of the settings that keep clients out. A forward is never opened without those that it should have. */
export const gateKeys: readonly string[] = Object.entries(isGate).flatMap(([key, is]) =>
  is ? [key] : [],
);

/** The first and the last port of `443`, or of `8000-8010`. */
export function portsOf(hostPort: number | string): readonly [number, number] {
  const [first = 0, last = first] = String(hostPort).split('-').map(Number);
  return [first, last];
}
