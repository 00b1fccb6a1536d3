// machine.ts: the machine that the figures are from; without it they mean nothing.

import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { firstLine } from './process.js';
import { systemName } from './root.js';

/** The machine and what ran on it. */
export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  readonly compiler: string;
  readonly date: string;
  /** Whether this was run by root; others meet limits on pipes and descriptors. */
  readonly privileged: boolean;
}

/** Reads the facts of this machine. */
export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown processor',
    processors: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    system: systemName(),
    node: process.version,
    compiler: firstLine(process.env['CXX'] ?? 'c++', '--version'),
    date: new Date().toISOString().slice(0, 10),
    privileged: process.env['SPLICEPORT_BENCH_UID'] === '0',
  };
}
