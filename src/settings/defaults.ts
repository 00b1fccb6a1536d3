// defaults.ts: what holds where a settings file says nothing.

import { availableParallelism } from 'node:os';
import type { Settings } from './types.js';

/** Every setting that has a value by itself. */
export function builtInDefaults(): Settings {
  return {
    workers: Math.min(2, availableParallelism()),
    spinMicros: 0,
    nearRttMicros: 500,
    pipeCapacityBytes: 1_048_576,
    controlSocket: true,
    log: {
      level: 'info',
      destination: 'stderr',
      summaryIntervalMs: 60_000,
      sessions: false,
      journalSocket: '/run/systemd/journal/socket',
    },
    connectTimeoutMs: 10_000,
    keepaliveIdleMs: 15_000,
    keepaliveIntervalMs: 15_000,
    keepaliveProbes: 9,
    udpTimeoutMs: 90_000,
    udpSegmentation: true,
    maxFlows: 16_384,
    sourceAddress: 'container',
    acceptProxy: false,
    proxyHeaderTimeoutMs: 3_000,
  };
}
