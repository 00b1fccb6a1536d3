// words.ts: what schemas and pages say of a field, in words.

import type { AnyField } from '../spec/fields.js';

/** What a block of addresses looks like. */
export const blockExpected = 'expected an IP address, or a block such as "10.0.0.0/8"';

const unitNames = { s: 'seconds', ms: 'ms', µs: 'microseconds', bytes: 'bytes' } as const;

/** What a field takes, as the end of a sentence that begins with "expected". */
export function expectation(field: AnyField): string {
  switch (field.type) {
    case 'integer':
      return `an integer from ${inDigits(field.min)} to ${inDigits(field.max)}`;
    case 'integer or word':
      return `an integer from ${inDigits(field.min)} to ${inDigits(field.max)} or ${JSON.stringify(field.word)}`;
    case 'flag':
      return 'true or false';
    case 'choice':
      return field.values.map((value) => JSON.stringify(value)).join(' or ');
    case 'blocks':
      return `an array of ${field.min} to ${inDigits(field.max)} addresses or blocks`;
    case 'text':
      return field.expected;
  }
}

/** What a field is, and its unit, in sentences. */
export function meaning(field: AnyField): string {
  const { unit } = 'unit' in field ? field : {};
  return plain(field.text) + (unit === undefined ? '' : ` Unit: ${unitNames[unit]}.`);
}

/** A field in sentences: what it is, its unit and its default. */
export function description(field: AnyField): string {
  const standard = field.defaultText ?? plainDefault(field);
  return `${meaning(field)}${standard === '' ? '' : ` Default: ${standard}.`}`;
}

/** A text of a table without the marks of code. */
export function plain(text: string): string {
  return text.replaceAll('`', '');
}

function plainDefault({ default: value }: AnyField): string {
  if (value === undefined) return '';
  return typeof value === 'number' ? inDigits(value) : String(value);
}

/** With commas between thousands, as the documentation has them. */
export function inDigits(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
