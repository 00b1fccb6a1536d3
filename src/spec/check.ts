// check.ts: the check of single values, and of whole tables of fields. Each failure is an Error
// that names the place.

import { parseCidr } from '../address.js';
import { invalidArgType, outOfRange } from '../errors.js';
import type { BlocksField, Field, Fields, ValueOf, ValuesOf } from './fields.js';

/** Checks a value of a field; the value in its usual form. */
export function check<F extends Field>(field: F, name: string, value: unknown): ValueOf<F> {
  return checked(field, name, value) as ValueOf<F>;
}

function checked(field: Field, name: string, value: unknown): unknown {
  switch (field.type) {
    case 'integer':
      return integer(name, value, field.min, field.max);
    case 'flag':
      return flag(name, value);
    case 'choice':
      return choice(name, value, field.values);
    case 'blocks':
      return blocks(name, value, field);
  }
}

/**
 * The values of all fields, with every default filled in. A limit that is not given is 0, and a
 * list that is not is empty.
 * @param given - Null stands for what is left out, except where the field is a gate: there it is a
 * mistake.
 */
export function resolveFields<T extends Fields>(
  fields: T,
  name: string,
  given: object,
): ValuesOf<T> {
  const values = given as Readonly<Record<string, unknown>>;
  const resolved = Object.entries(fields).map(([key, field]) => {
    const value = field.isGate ? values[key] : (values[key] ?? undefined);
    return [key, value === undefined ? unset(field) : check(field, `${name}.${key}`, value)];
  });
  return Object.fromEntries(resolved) as ValuesOf<T>;
}

function unset(field: Field): unknown {
  return field.default ?? (field.type === 'blocks' ? [] : 0);
}

/** Checks an integer that is no field of a table. */
export function integer(name: string, value: unknown, lowest: number, highest: number): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'an integer', value);
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw outOfRange(name, `an integer from ${lowest} to ${highest}`, value);
  }
  return value;
}

/** Checks a word that is no field of a table. */
export function choice(name: string, value: unknown, values: readonly string[]): string {
  const expected = values.map((each) => `"${each}"`).join(' or ');
  if (typeof value !== 'string') throw invalidArgType(name, expected, value);
  if (!values.includes(value)) throw outOfRange(name, expected, value);
  return value;
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'true or false', value);
  return value;
}

function blocks(name: string, value: unknown, { min, max }: BlocksField): string[] {
  const expected = `a list of ${min} to ${max} IP addresses, or blocks of them,`;
  if (!Array.isArray(value)) throw invalidArgType(name, expected, value);
  if (value.length < min || value.length > max) throw outOfRange(name, expected, value);
  return value.map((text: unknown, index) => {
    const block = 'an IP address, or a block of them such as 10.0.0.0/8,';
    if (typeof text !== 'string') throw invalidArgType(`${name}[${index}]`, block, text);
    const cidr = parseCidr(text);
    if (cidr === undefined) throw outOfRange(`${name}[${index}]`, block, text);
    return cidr;
  });
}
