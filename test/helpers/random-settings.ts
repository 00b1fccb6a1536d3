// random-settings.ts: settings files made of random pieces, all of them right.

import { readFileSync } from 'node:fs';
import { makeBlock } from './random-blocks.js';
import type { Random } from './random.js';

/** The settings of a file, or of an object in it, by their names. */
export type Values = Record<string, unknown>;

/** A settings file in parts. */
export interface Parts {
  readonly defaults: Values;
  readonly rules: { readonly match: Values; readonly set: Values }[];
}

/** What the published schema says of a setting. */
export interface Known {
  readonly type?: 'array' | 'boolean' | 'integer' | 'object' | 'string';
  readonly const?: unknown;
  readonly anyOf?: readonly Known[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Known>>;
}

const schemaFile = new URL('../../docs/settings.schema.json', import.meta.url);
const schema = JSON.parse(readFileSync(schemaFile, 'utf8')) as {
  properties: { defaults: { properties: Readonly<Record<string, Known>> } };
};

const knownSettings = schema.properties.defaults.properties;

/** Every setting. */
export const settingNames = Object.keys(knownSettings);

/** Those that limit who comes in, as docs/settings.md names them. */
export const gates: readonly string[] = [
  ...['allow', 'deny', 'acceptProxy', 'trustedProxies'],
  ...['maxSessions', 'maxFlows', 'maxSessionsPerSecond', 'maxSessionsPerClient'],
];

/** Those that are the same for all forwards of a container. */
export const ofForwarder: readonly string[] = [
  ...['workers', 'spinMicros', 'nearRttMicros', 'pipeCapacityBytes'],
  ...['controlSocket', 'reloadSocket', 'process', 'residentLingerSeconds', 'log'],
];

const ofForward = settingNames.filter((key) => !ofForwarder.includes(key));

/** The container that files have rules for. */
export const containerId = 'c0ffee12';

/** Texts that a schema does not list, by the setting. */
const texts: Readonly<Record<string, readonly string[]>> = {
  destination: ['stderr', '/dev/null', '/dev/../dev/null'],
  journalSocket: ['/run/systemd/journal/socket', '/x'],
};

/** Lists that are longer take long to write, and have a test of their own. */
export const MAX_BLOCKS = 2_000;

/** What is known of a setting. */
export function knownOf(key: string): Known {
  const known = knownSettings[key];
  if (known === undefined) throw new Error(`${key} is no setting`);
  return known;
}

/** A right file. Its rules are for a few ports from the first on, as well as for others. */
export function makeParts(random: Random, firstPort: number): Parts {
  const defaults = makeSettings(random, [
    ...random.some(ofForward, 5),
    ...random.some(ofForwarder, 6),
  ]);
  believeSome(random, defaults, {});
  const rules = Array.from({ length: random.below(4) }, () => makeRule(random, firstPort));
  for (const { match, set } of rules) {
    believeSome(random, set, defaults);
    if (match.protocol === 'udp' && set['sourceAddress'] === 'proxy-v1') {
      set['sourceAddress'] = 'proxy-v2';
    }
  }
  return { defaults, rules };
}

/** A value that is right for a setting. */
export function makeValue(random: Random, key: string, known = knownOf(key)): unknown {
  const { type, minimum = 0, maximum = 0, properties = {} } = known;
  if (known.const !== undefined) return known.const;
  if (type === undefined) return makeValue(random, key, random.pick(known.anyOf ?? []));
  switch (type) {
    case 'integer': {
      const between = minimum + random.below(maximum - minimum + 1);
      return random.pick([minimum, minimum + 1, between, between, maximum - 1, maximum]);
    }
    case 'boolean':
      return random.once(2);
    case 'array':
      return Array.from({ length: countOfBlocks(random, known) }, () => makeBlock(random));
    case 'object': {
      const inner = random.some(Object.entries(properties), 2);
      return Object.fromEntries(inner.map(([name, each]) => [name, makeValue(random, name, each)]));
    }
    case 'string':
      return random.pick(known.enum ?? texts[key] ?? []);
  }
}

/** What the file asks for at a port. The later wins; `log` is of no account here. */
export function wantedAt(
  { defaults, rules }: Parts,
  subject: { readonly protocol: string; readonly port: number },
): Values {
  const matching = rules.filter(({ match }) => isFor(match, subject));
  return Object.assign({}, defaults, ...matching.map(({ set }) => set)) as Values;
}

function isFor(match: Values, { protocol, port }: { protocol: string; port: number }): boolean {
  const { hostPort = '1-65535', protocol: only = protocol, containerId: id = '' } = match;
  const [first = 0, last = first] = String(hostPort).split('-').map(Number);
  const isThisPort = first <= port && port <= last;
  return isThisPort && only === protocol && containerId.startsWith(String(id));
}

function makeRule(random: Random, firstPort: number) {
  const port = firstPort + random.below(3);
  const hostPorts = [
    ...[port, port, `${port}-${port}`, `${port}-${firstPort + 2}`, `${firstPort}-${port}`],
    ...[1, 65_535, '1-65535', '00001-00009'],
  ];
  const match = {
    ...(random.once(2) && { hostPort: random.pick(hostPorts) }),
    ...(random.once(3) && { protocol: random.pick(['tcp', 'udp']) }),
    ...(random.once(4) && { containerId: random.pick(['c', containerId, 'c0ffee123', 'a.b_c-d']) }),
  };
  const isForSomeForwards = 'hostPort' in match || 'protocol' in match;
  const keys = [
    ...random.some(ofForward, 6),
    ...(isForSomeForwards ? [] : random.some(ofForwarder, 6)),
  ];
  return { match, set: makeSettings(random, keys) };
}

function makeSettings(random: Random, keys: readonly string[]): Values {
  const entries = keys.map((key) => [key, makeValue(random, key)]);
  return Object.fromEntries(entries) as Values;
}

/** Whoever accepts headers names those who are believed. */
function believeSome(random: Random, own: Values, defaults: Values): void {
  if (own['acceptProxy'] !== true || { ...defaults, ...own }['trustedProxies'] !== undefined) {
    return;
  }
  own['trustedProxies'] = makeValue(random, 'trustedProxies');
}

function countOfBlocks(random: Random, { minItems = 0, maxItems = 0 }: Known): number {
  const few = minItems + random.below(4);
  return maxItems <= MAX_BLOCKS && random.once(6) ? maxItems : few;
}
