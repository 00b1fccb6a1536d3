// random-blocks.ts: blocks of addresses in odd spellings, and which addresses each of them has.
// What they have is known from how they are made, so no parser is asked.

import type { Random } from './random.js';

/** An address as a number. */
export interface NumericAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

interface Block extends NumericAddress {
  readonly prefix: number;
}

/** Every block that was made, by its text. */
const made = new Map<string, Block>();

const v4 = (...bytes: readonly number[]): NumericAddress => ({
  family: 4,
  value: bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n),
});

/** Addresses that clients have in tests, and some others. */
export const clientAddresses: Readonly<Record<string, NumericAddress>> = {
  '127.0.0.1': v4(127, 0, 0, 1),
  '127.9.8.7': v4(127, 9, 8, 7),
  '203.0.113.9': v4(203, 0, 113, 9),
  '::1': { family: 6, value: 1n },
};
const bases: readonly NumericAddress[] = [
  ...Object.values(clientAddresses),
  v4(0, 0, 0, 0),
  v4(255, 255, 255, 255),
  v4(10, 20, 30, 40),
  { family: 6, value: 0n },
  { family: 6, value: (1n << 128n) - 1n },
  { family: 6, value: 0x2001_0db8_0000_0000_0001_0000_0000_0abcn },
];

const prefixes = { 4: [0, 1, 7, 8, 9, 24, 31, 32], 6: [0, 1, 63, 64, 127, 128] } as const;

/** What looks like a block and is none, or is of another type. */
export const wrongBlocks: readonly unknown[] = [
  ...['', ' ', '/', '/8', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0.0/+8'],
  ...['10.0.0.0/8/8', '10.0.0.0/8 ', ' 10.0.0.0/8', '10.0.0.0 /8', '10.0.0.0/8.0', '10.0.0.0\n'],
  ...['010.0.0.1', '10.0.0.01', '10.0.0', '10.0.0.0.0', '256.0.0.0', '0x0a.0.0.1', '10.0.0.1.'],
  ...['10.0.0.0/255.0.0.0', '167772160', 'localhost', '*', '[::1]', '[::]/0', '10.0.0.0:80'],
  ...['::/129', '::/', ':::', '1::2::3', '::1%lo', 'fe80::1%1/64', '::g', '12345::', ':1', '1:'],
  ...['1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::/00', '::1/ 128'],
  ...['::ffff:10.0.0.0/95', '::ffff:10.0.0.0/8', '::ffff:10.0.0.0/129', '::ffff:010.0.0.1'],
  ...['::ffff:a00:0/0', '::10.0.0.1:1', '10.0.0.1::', '١٠.0.0.1', '10.0.0.0／8', '10．0.0.1'],
  ...[10, null, true, ['10.0.0.0'], {}, '10.0.0.0\u0000', '10.0.0.0/٨'],
];

/** A block that is right, however it is spelled. */
export function makeBlock(random: Random): string {
  const { family, value } = random.pick(bases);
  const most = family === 4 ? 32 : 128;
  const prefix = random.once(3) ? random.below(most + 1) : random.pick(prefixes[family]);
  const isMapped = family === 4 && random.once(3);
  const address =
    family === 6 ? spell6(random, value) : isMapped ? spellMapped(random, value) : spell4(value);
  // An address alone is a block of one.
  const isAlone = prefix === most && random.once(2);
  const text = isAlone ? address : `${address}/${prefix + (isMapped ? 96 : 0)}`;
  made.set(text, { family, value, prefix });
  return text;
}

/** Whether one of the blocks, all of which were made here, has the address. */
export function hasAddress(blocks: readonly string[], { family, value }: NumericAddress): boolean {
  return blocks.some((text) => {
    const block = made.get(text);
    if (block === undefined) throw new Error(`${text} was not made here`);
    const shift = BigInt((family === 4 ? 32 : 128) - block.prefix);
    return block.family === family && block.value >> shift === value >> shift;
  });
}

function spell4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
}

function spellMapped(random: Random, value: bigint): string {
  const words = `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  const start = random.pick(['::ffff:', '::FFFF:', '0:0:0:0:0:ffff:', '0000::0:ffff:']);
  return start + (random.once(2) ? spell4(value) : words);
}

function spell6(random: Random, value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  const longest = /(?:^|(?<=:))0(?::0)+(?:$|(?=:))/.exec(groups.join(':'));
  const texts = [
    groups.join(':'),
    groups.map((group) => group.padStart(4, '0')).join(':'),
    groups.join(':').toUpperCase(),
    ...(longest === null ? [] : [shortened(groups.join(':'), longest)]),
  ];
  return random.pick(texts);
}

function shortened(whole: string, { 0: zeros, index }: RegExpExecArray): string {
  const [before, after] = [whole.slice(0, index), whole.slice(index + zeros.length)];
  return `${before.replace(/:$/, '')}::${after.replace(/^:/, '')}`;
}
