// admission.ts: the options that say whom a forward lets in.

import { InvalidArgumentError, type Command } from 'commander';
import type { ForwardSpec } from '../../index.js';

/** Options of the commands that add forwards. */
export interface AdmissionOptions {
  readonly maxSessions?: number;
  readonly maxRate?: number;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/** Gives a command the options. */
export function addAdmissionOptions(command: Command): Command {
  return command
    .option(
      '--max-sessions <number>',
      'limit on open sessions or flows of each forward',
      parseCount,
    )
    .option(
      '--max-rate <number>',
      'limit on new sessions or flows of each forward per second',
      parseCount,
    )
    .option('--allow <cidr>', 'accept only clients from this block; repeatable', collect)
    .option('--deny <cidr>', 'reject clients from this block; repeatable', collect);
}

/** The specifications, with what the options say. */
export function withAdmission(
  specs: readonly ForwardSpec[],
  { maxSessions, maxRate, allow, deny }: AdmissionOptions,
): ForwardSpec[] {
  return specs.map((spec) => ({
    ...spec,
    ...(maxSessions !== undefined && { maxSessions }),
    ...(maxRate !== undefined && { maxSessionsPerSecond: maxRate }),
    ...(allow !== undefined && { allow }),
    ...(deny !== undefined && { deny }),
  }));
}

function collect(cidr: string, before: readonly string[] = []): readonly string[] {
  return [...before, cidr];
}

/** How many there may be, the library says. */
function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
}
