// consistency.ts: mistakes in settings that a JSON Schema cannot find.

import { parseCidr } from '../address.js';
import { blockExpected } from '../schema/words.js';
import { forwardFields, type BlocksField, type Field } from '../spec/fields.js';
import { forwarderKeys, MAX_PORT, portExpected, portsOf } from './keys.js';
import type { Match, Rule, Settings, SettingsFile } from './settings-types.js';

type BlockKey = {
  [K in keyof typeof forwardFields]: (typeof forwardFields)[K] extends BlocksField ? K : never;
}[keyof typeof forwardFields];

const blockKeys = Object.entries<Field>(forwardFields).flatMap(([key, { type }]) =>
  type === 'blocks' ? [key as BlockKey] : [],
);

/** A problem, and where: keys and indexes from the top of the file. */
export interface Inconsistency {
  readonly place: readonly (number | string)[];
  readonly message: string;
}

/** The mistakes. */
export function inconsistencies({ defaults = {}, rules = [] }: SettingsFile): Inconsistency[] {
  return [
    ...untrusting(defaults, defaults, ['defaults']),
    ...misspelt(defaults, ['defaults']),
    ...rules.flatMap(({ match }, index) => backward(match, ['rules', index, 'match'])),
    ...rules.flatMap((rule, index) => inRule(rule, defaults, ['rules', index, 'set'])),
  ];
}

function inRule(
  { match, set }: Rule,
  defaults: Settings,
  place: readonly (number | string)[],
): Inconsistency[] {
  const isForSomeForwards = match.hostPort !== undefined || match.protocol !== undefined;
  const whole = Object.keys(set).filter((key) => forwarderKeys.includes(key));
  return [
    ...(isForSomeForwards ? whole : []).map((key) => ({
      place: [...place, key],
      message: `expected no ${key} in a rule for a port or a protocol, because all forwards of a container share it`,
    })),
    ...(match.protocol === 'udp' && set.sourceAddress === 'proxy-v1'
      ? [
          {
            place: [...place, 'sourceAddress'],
            message:
              'expected "proxy-v2" in a rule for UDP, because "proxy-v1" cannot carry datagrams',
          },
        ]
      : []),
    ...untrusting(set, { ...defaults, ...set }, place),
    ...misspelt(set, place),
  ];
}

/** Headers are accepted only from load balancers that are listed. */
function untrusting(
  own: Settings,
  { acceptProxy, trustedProxies }: Settings,
  place: readonly (number | string)[],
): Inconsistency[] {
  if (own.acceptProxy !== true || acceptProxy !== true || trustedProxies !== undefined) return [];
  const message = 'expected trustedProxies, the trusted load balancers, to be set too';
  return [{ place: [...place, 'acceptProxy'], message }];
}

function backward({ hostPort }: Match, place: readonly (number | string)[]): Inconsistency[] {
  if (hostPort === undefined) return [];
  const [first, last] = portsOf(hostPort);
  if (1 <= first && first <= last && last <= MAX_PORT) return [];
  return [{ place: [...place, 'hostPort'], message: portExpected }];
}

/** Blocks of addresses that are invalid. */
function misspelt(settings: Settings, place: readonly (number | string)[]): Inconsistency[] {
  return blockKeys.flatMap((key) =>
    (settings[key] ?? []).flatMap((block, index) =>
      parseCidr(block) !== undefined
        ? []
        : [{ place: [...place, key, index], message: blockExpected }],
    ),
  );
}
