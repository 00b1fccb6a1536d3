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
  /** Unit: seconds. */
  readonly waitForServer?: number;
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
    .option('--deny <cidr>', 'reject clients from this block; repeatable', collect)
    .option(
      '--wait-for-server <time>',
      'how long clients wait for a server that refuses, such as 30s',
      parseTime,
    );
}

/** Adds the options that start and stop the container. */
export function addOnDemandOptions(command: Command): Command {
  return command
    .option(
      '--on-demand <command>',
      'start the container for its first client, by this command; podman and docker stand for their start NAME',
    )
    .option(
      '--idle-stop <time>',
      'stop it after this time without sessions, such as 10m',
      parseTime,
    )
    .option(
      '--stop <command>',
      'how to stop it (default: that of --on-demand, with stop for start)',
    );
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

const SECONDS_OF = { s: 1, m: 60, h: 3_600 } as const;
const MAX_TIME_SECONDS = 86_400;

/** A time such as `90`, `90s`, `10m` or `1h`, in seconds. */
function parseTime(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)([smh])?$/.exec(text) ?? [];
  const seconds = Number(number) * SECONDS_OF[unit as keyof typeof SECONDS_OF];
  if (!(seconds > 0 && seconds <= MAX_TIME_SECONDS)) {
    throw new InvalidArgumentError('Expected a time of up to a day, such as 30s, 10m or 1h.');
  }
  return seconds;
}

/** The library checks the range. */
function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
}
