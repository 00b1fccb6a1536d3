// random-json.ts: JSON made of random pieces, with what is rare in it: the same key again, numbers
// that no double holds, half of a surrogate pair, brackets in strings, white space everywhere.

import type { Random } from './random.js';

const STRINGS: readonly string[] = [
  ...[
    '',
    'a',
    'host_ip',
    '__proto__',
    'constructor',
    '0',
    ' ',
    ']}',
    '[{',
    ',',
    ':',
    '"',
    '\\',
    '\\"',
  ],
  ...[
    '\u0000',
    '\n',
    '\u007f',
    '\u2028',
    '\u017f',
    '\u212a',
    'é',
    '\ud83d\ude00',
    '\ud83d',
    '\ude00',
  ],
];

/**
 * JSON.parse of Node 24.21 takes some keys with an escape in them for others: what it says is no
 * measure then.
 */
const KEYS = STRINGS.filter((text) => JSON.stringify(text) === `"${text}"`);

const NUMBERS: readonly string[] = [
  ...['0', '-0', '1', '-1', '80', '65535', '65536', '2147483648', '9007199254740993'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775809', '1e999', '-1E+999'],
  ...['0.1', '80.0', '8e1', '80e-1', '1E-999', `1${'0'.repeat(400)}`, `0.${'3'.repeat(40)}`],
];

const DAMAGE: readonly string[] = [
  ...['', '', '{', '}', '[', ']', '"', ',', ':', '\\', '0', '-', '.', 'e', 'E', '+', 'n', 't'],
  ...['f', ' ', 'u', '\u0000', '\ufeff'],
];

const SPACES: readonly string[] = ['', '', '', ' ', '\n', '\r\n', '\t', '  '];

/** The text of a value, whose objects take `keys` as well as others. */
export function makeJson(random: Random, keys: readonly string[] = [], depth = 0): string {
  const kind = random.below(depth > 4 ? 4 : 7);
  if (kind === 0) return pad(random, random.pick(['null', 'true', 'false']));
  if (kind === 1) return pad(random, random.pick(NUMBERS));
  if (kind <= 3) return pad(random, spellString(random, random.pick(STRINGS)));
  const items = Array.from({ length: random.below(5) }, () => makeJson(random, keys, depth + 1));
  if (kind === 4) return pad(random, `[${items.join(',') || random.pick(SPACES)}]`);
  const members = items.map((item) => {
    const key = random.pick(random.once(3) ? KEYS : [...keys, 'a', 'b']);
    return `${pad(random, JSON.stringify(key))}:${item}`;
  });
  return pad(random, `{${members.join(',') || random.pick(SPACES)}}`);
}

/** One of the ways to write a string. */
export function spellString(random: Random, text: string): string {
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  if (random.once(4)) return `"${text.replaceAll(/[^]/g, escape)}"`;
  return JSON.stringify(text).replaceAll('/', random.pick(['/', String.raw`\/`]));
}

/** A text with a few of its characters left out, doubled or replaced. */
export function damage(random: Random, text: string): string {
  let damaged = text;
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(damaged.length + 1);
    const character = random.pick(DAMAGE);
    damaged = damaged.slice(0, at) + character + damaged.slice(at + random.below(2));
  }
  return damaged;
}

function pad(random: Random, text: string): string {
  return random.pick(SPACES) + text + random.pick(SPACES);
}
