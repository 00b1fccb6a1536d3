// admission.ts: the options that limit which clients a forward accepts.

import { InvalidArgumentError, type Command } from 'commander';
import type { ForwardSpec } from '../../index.js';

/** Options of the commands that add forwards. */
export interface AdmissionOptions {
  readonly maxSessions?: number;
  readonly maxRate?: number;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/** Adds the options to a command. */
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

/** The specifications with the options applied. */
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

/** The library checks the range. */
function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
}
