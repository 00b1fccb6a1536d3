// admission.ts: the checks of what a forward says of whom it lets in.

import { parseCidr } from '../address.js';
import { invalidArgType, outOfRange } from '../errors.js';
import type { ForwardSpec } from '../types.js';

const MAX_BLOCKS = 100_000;
const HIGHEST_MAX_SESSIONS = 1_048_576;
const HIGHEST_RATE = 100_000;

/** What a {@link ForwardSpec} says of whom it lets in, with every default filled in. */
export interface AdmissionRules {
  /** Empty: anybody. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** 0: any number. */
  readonly maxSessions: number;
  /** 0: any number. */
  readonly maxSessionsPerSecond: number;
}

/** Checks what a specification says of whom it lets in. */
export function resolveAdmission(name: string, spec: ForwardSpec): AdmissionRules {
  const { allow, deny, maxSessions, maxSessionsPerSecond } = spec;
  return {
    // None that is allowed would be a list that forbids everybody, or a mistake.
    allow: allow === undefined ? [] : resolveBlocks(`${name}.allow`, allow, 1, MAX_BLOCKS),
    deny: deny === undefined ? [] : resolveBlocks(`${name}.deny`, deny, 0, MAX_BLOCKS),
    maxSessions: limit(`${name}.maxSessions`, maxSessions, HIGHEST_MAX_SESSIONS),
    maxSessionsPerSecond: limit(`${name}.maxSessionsPerSecond`, maxSessionsPerSecond, HIGHEST_RATE),
  };
}

/** Checks a list of addresses and blocks of them. */
export function resolveBlocks(
  name: string,
  blocks: unknown,
  fewest: number,
  most: number,
): string[] {
  const expected = `a list of ${fewest} to ${most} IP addresses, or blocks of them,`;
  if (!Array.isArray(blocks)) throw invalidArgType(name, expected, blocks);
  if (blocks.length < fewest || blocks.length > most) throw outOfRange(name, expected, blocks);
  return blocks.map((text: unknown, index) => {
    const block = 'an IP address, or a block of them such as 10.0.0.0/8,';
    if (typeof text !== 'string') throw invalidArgType(`${name}[${index}]`, block, text);
    const cidr = parseCidr(text);
    if (cidr === undefined) throw outOfRange(`${name}[${index}]`, block, text);
    return cidr;
  });
}

function limit(name: string, value: unknown, highest: number): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw invalidArgType(name, 'an integer', value);
  if (Number.isInteger(value) && value >= 1 && value <= highest) return value;
  throw outOfRange(name, `an integer from 1 to ${highest}`, value);
}
