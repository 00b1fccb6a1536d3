// settings-mistakes.ts: makes right settings files wrong, in random ways, and tells whether a gate
// is gone by it.

import { wrongBlocks } from './random-blocks.js';
import {
  gates,
  knownOf,
  makeValue,
  MAX_BLOCKS,
  settingNames,
  type Parts,
  type Values,
} from './random-settings.js';
import type { Random } from './random.js';

/** Something wrong with a file. */
export interface Mistake {
  readonly what: string;
  /** Whether nobody can say any more what a gate of the file is, or whom it is for. */
  readonly hidesGate: boolean;
}

/** Changes the parts of a file; gives nothing where it cannot. */
type Spoil = (random: Random, parts: Parts) => Mistake | undefined;

const gate: Values = { deny: ['10.0.0.0/8'] };

/** One mistake, or some, in a file that is right. */
export function spoilParts(random: Random, parts: Parts): Mistake[] {
  const mistakes = Array.from({ length: 1 + random.below(2) }, () =>
    random.pick(inParts)(random, parts),
  );
  return mistakes.filter((mistake) => mistake !== undefined);
}

/** A mistake that leaves no settings at their place. It is the last. */
export function spoilShape(random: Random, parts: Parts): { file: Values; mistake: Mistake } {
  const { defaults, rules } = parts;
  const hidesDefaults = hasGate(defaults);
  const hidesRules = rules.some(({ set }) => hasGate(set));
  const all = { defaults, rules };
  const rest = rules.slice(1);
  const [first = { match: {}, set: {} }] = rules;
  const { match, set } = first;
  const hidesFirst = hasGate(set);
  return random.pick<() => ReturnType<typeof spoilShape>>([
    () => odd('defaults in an array', { defaults: [defaults], rules }, hidesDefaults),
    () => odd('rules in an object', { defaults, rules: { 0: rules } }, hidesRules),
    () => odd('rules in a rule', { defaults, rules: [rules] }, hidesRules),
    () => odd('a rule in an array', { defaults, rules: [[first], ...rest] }, hidesFirst),
    () =>
      odd(
        'settings in an array',
        { defaults, rules: [{ match, set: [set] }, ...rest] },
        hidesFirst,
      ),
    () => odd('no match', { defaults, rules: [{ set }, ...rest] }, hidesFirst),
    () =>
      odd('a list of matches', { defaults, rules: [{ match: [match], set }, ...rest] }, hidesFirst),
    () => odd('null for a match', { defaults, rules: [{ match: null, set }, ...rest] }, hidesFirst),
    () => odd('no set', { ...all, rules: [{ match }, ...rules] }, false),
    () => odd('null for a rule', { ...all, rules: [...rules, null] }, false),
    () => odd('another key', { ...all, [oddKey(random)]: 1 }, false),
    () => odd('a gate at the top', { ...all, ...gate }, true),
    () => odd('a gate in another key', { ...all, [oddKey(random)]: { x: [gate] } }, true),
    () => odd('a schema that is none', { ...all, $schema: 1 }, false),
    () => odd('the file in a key', { 0: all }, hidesDefaults || hidesRules),
  ])();
}

/** A mistake in the text, after which it is no JSON, or says something twice. */
export function spoilText(random: Random, text: string): { text: string; mistake: Mistake } {
  const hidesGate = gates.some((name) => text.includes(`"${name}"`));
  const [what, spoilt] = random.pick<readonly [string, string]>([
    ['no end', text.trimEnd().slice(0, -1)],
    ['more after the end', `${text} {}`],
    ['a comma too many', text.replace(/\}\s*$/, ',}')],
    ['a comma too many, and keys in other letters', escapeKeys(text).replace(/\}\s*$/, ',}')],
    ['a key twice', text.replace('{', '{"$schema": "", "$schema": "",')],
    ['a key twice, of a gate', text.replace('{', '{"deny": [], "deny": [],')],
    ['no colons', `${text.replaceAll('":', '"')},`],
    ['= for a colon', `${text.replaceAll('":', '"=')},`],
    ['a comment before a colon', `${text.replaceAll('":', '" /* : */ :')},`],
    ['a comment without an end', text.replace('{', '{ /*')],
    ['keys without quotes', `${text.replaceAll(/"(\w+)":/g, '$1:')},`],
    ['quotes of another kind', `${text.replaceAll('"', "'")},`],
  ]);
  return { text: spoilt, mistake: { what, hidesGate: hidesGate || what.endsWith('gate') } };
}

/** Keys with their letters written by number, which is the same to a reader of JSON. */
export function escapeKeys(text: string): string {
  return text.replaceAll(/"(\w)(\w*)":/g, (_, first: string, rest: string) => {
    const digits = first.charCodeAt(0).toString(16).padStart(4, '0');
    return `"\\u${digits}${rest}":`;
  });
}

const inParts: readonly Spoil[] = [
  wrongValue,
  wrongValue,
  wrongValue,
  wrongMatch,
  (random, parts) => {
    const { settings } = placeOf(random, parts);
    const key = oddKey(random);
    // What an earlier mistake has put there stays.
    if (Object.hasOwn(settings, key)) return undefined;
    define(settings, key, 1);
    return { what: 'a key that is none', hidesGate: false };
  },
  (random, parts) => {
    const { settings } = placeOf(random, parts);
    define(settings, oddKey(random), [gate]);
    return { what: 'a gate in a key that is none', hidesGate: true };
  },
  (_, { defaults }) => {
    defaults['acceptProxy'] = true;
    delete defaults['trustedProxies'];
    return { what: 'headers of nobody', hidesGate: true };
  },
  (random, { rules }) => {
    const match = random.pick([{ hostPort: 1 }, { protocol: 'tcp' }]);
    rules.push({ match, set: { workers: 1 } });
    return { what: 'what is the same for all forwards, in a rule for some', hidesGate: false };
  },
  (_, { rules }) => {
    rules.push({ match: { protocol: 'udp' }, set: { sourceAddress: 'proxy-v1' } });
    return { what: 'proxy-v1 for udp', hidesGate: false };
  },
];

function wrongValue(random: Random, parts: Parts): Mistake | undefined {
  const { settings } = placeOf(random, parts);
  const key = random.pick(settingNames);
  const value = makeWrongValue(random, key);
  settings[key] = value;
  return { what: `${key} ${JSON.stringify(value).slice(0, 80)}`, hidesGate: gates.includes(key) };
}

function wrongMatch(random: Random, { rules }: Parts): Mistake | undefined {
  if (rules.length === 0) return undefined;
  const { match, set } = random.pick(rules);
  const [key, value] = random.pick<readonly [string, unknown]>([
    ...[0, -1, 65_536, 1.5, '80', '0-5', '90-80', '1-65536', '1-', '-1', '1 - 2', '', null].map(
      (port) => ['hostPort', port] as const,
    ),
    ...['TCP', 'sctp', '', 6, ['tcp'], null].map((protocol) => ['protocol', protocol] as const),
    ...['', 'a b', 'ä', 'a/b', 12, null].map((id) => ['containerId', id] as const),
    [oddKey(random), 1],
  ]);
  define(match, key, value);
  return { what: `match ${key} ${JSON.stringify(value)}`, hidesGate: hasGate(set) };
}

/** A value that is wrong for a setting, often by little. */
export function makeWrongValue(random: Random, key: string, known = knownOf(key)): unknown {
  const { type, minimum = 0, maximum = 0, minItems = 0, maxItems = 0 } = known;
  const right = makeValue(random, key, known);
  // A number or a word: what is wrong for the number is wrong.
  if (type === undefined) return makeWrongValue(random, key, known.anyOf?.[0]);
  switch (type) {
    case 'integer':
      return random.pick([
        ...[minimum - 1, maximum + 1, minimum - 1, maximum + 1, minimum + 0.5, 1e300, -maximum],
        ...[String(minimum), true, null, [minimum], {}],
      ]);
    case 'boolean':
      return random.pick([0, 1, 'true', '', null, [true], {}]);
    case 'array': {
      const blocks = right as unknown[];
      return random.pick<unknown>([
        ...[
          [...blocks, random.pick(wrongBlocks)],
          [random.pick(wrongBlocks), ...blocks],
        ],
        ...[[random.pick(wrongBlocks)], [blocks], '10.0.0.0/8', '', 0, null, {}],
        ...(minItems > 0 ? [[]] : []),
        ...(maxItems <= MAX_BLOCKS ? [new Array(maxItems + 1).fill('::')] : []),
      ]);
    }
    case 'object': {
      const inner = Object.entries(known.properties ?? {});
      const [name, each] = random.pick(inner);
      return random.pick<unknown>([
        ...[null, [], 'info', 1, { ...(right as Values), [oddKey(random)]: 1 }],
        ...[name, name].map((own) => ({
          ...(right as Values),
          [own]: makeWrongValue(random, own, each),
        })),
      ]);
    }
    case 'string':
      return random.pick<unknown>([
        ...['', ' ', 'else', '/\n', 'STDERR', 'Container', 'proxy-v3', 'proxy-v', 'here/there'],
        ...[0, true, null, [right], {}, `${String(right)}\n`],
      ]);
  }
}

/** The defaults, or the settings of a rule. */
function placeOf(random: Random, { defaults, rules }: Parts): { settings: Values } {
  return { settings: random.pick([defaults, ...rules.map(({ set }) => set)]) };
}

function oddKey(random: Random): string {
  const of = random.pick(settingNames);
  return random.pick([
    ...['__proto__', 'constructor', 'toString', '', ' ', 'default', 'match', 'set', 'hostPorts'],
    ...[of.toUpperCase(), `${of} `, `${of}s`, of.slice(1)],
  ]);
}

/** As `settings[key] = value`, which would be something else for `__proto__`. */
function define(settings: Values, key: string, value: unknown): void {
  Object.defineProperty(settings, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function hasGate(settings: Values): boolean {
  return Object.keys(settings).some((key) => gates.includes(key));
}

function odd(what: string, file: Values, hidesGate: boolean): { file: Values; mistake: Mistake } {
  return { file, mistake: { what, hidesGate } };
}
