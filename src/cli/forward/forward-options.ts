// forward-options.ts: the arguments and options of the commands that add forwards. The help shows
// them, so this does not load the library; specs.ts reads their values.

import { InvalidArgumentError, Option, type Command } from 'commander';
import type { SourceAddress } from '../../index.js';
import { forwardFields } from '../../spec/fields.js';

/** Options of the commands that add forwards. */
export interface ForwardSpecOptions {
  /** Further specifications. */
  readonly publish?: readonly string[];
  readonly sourceAddress?: SourceAddress;
  readonly acceptProxy?: boolean;
  readonly trustedProxy?: readonly string[];
  readonly maxSessions?: number;
  readonly maxRate?: number;
  readonly maxPerClient?: number;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/**
 * Adds the port specifications and the options to a command. Specifications are arguments, or come
 * after -p as in container engines; at least one is required.
 */
export function addForwardOptions(command: Command, description: string): Command {
  const { values, default: usual } = forwardFields.sourceAddress;
  return command
    .usage('[options] <spec...>')
    .argument('[spec...]', description)
    .option('-p, --publish <spec>', 'same as SPEC; repeatable', collect)
    .addOption(
      new Option(
        '--source-address <mode>',
        `whose address the server sees (default: "${usual}")`,
      ).choices(values),
    )
    .option(
      '--accept-proxy',
      'take client addresses from the PROXY headers of load balancers in front',
    )
    .option(
      '--trusted-proxy <cidr>',
      'a trusted load balancer, or a block of them; repeatable',
      collect,
    )
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
    .option(
      '--max-per-client <number>',
      'limit on open sessions or flows of each client of a forward',
      parseCount,
    )
    .option('--allow <cidr>', 'accept only clients from this block; repeatable', collect)
    .option('--deny <cidr>', 'reject clients from this block; repeatable', collect);
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** The library checks the range. */
function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
}
