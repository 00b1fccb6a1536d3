// client-address.ts: the options that say whose address servers see, and which load balancers are believed.

import { Option, type Command } from 'commander';
import type { ForwardSpec, SourceAddress } from '../../index.js';
import { forwardFields } from '../../spec/fields.js';
import { usageFailure } from '../failure.js';

/** Options of the commands that add forwards. */
export interface ClientAddressOptions {
  readonly sourceAddress?: SourceAddress;
  readonly acceptProxy?: boolean;
  readonly trustedProxy?: readonly string[];
}

/** Gives a command the options. */
export function addClientAddressOptions(command: Command): Command {
  const { values, default: usual } = forwardFields.sourceAddress;
  return command
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
      (cidr: string, before: readonly string[] | undefined) => [...(before ?? []), cidr],
    );
}

/** The specifications, with what the options say. */
export function withClientAddress(
  specs: readonly ForwardSpec[],
  { sourceAddress, acceptProxy, trustedProxy }: ClientAddressOptions,
): ForwardSpec[] {
  if ((acceptProxy ?? false) !== (trustedProxy !== undefined))
    throw usageFailure(
      '--accept-proxy and --trusted-proxy require each other',
      'A trusted client can claim any address: list only your load balancers.',
    );
  return specs.map((spec) => ({
    ...spec,
    ...(sourceAddress !== undefined && { sourceAddress }),
    ...(trustedProxy !== undefined && { acceptProxy: true, trustedProxies: trustedProxy }),
  }));
}
