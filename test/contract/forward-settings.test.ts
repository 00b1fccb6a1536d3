// The settings of a forward are named in many places. They have the same names, bounds and defaults in all of them: the
// library's types, the settings file, the control API and its description, and the pages. That the library itself takes just
// what the schema of settings says, test/unit/settings.test.ts holds.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { addRequest, checked } from '../../src/control/bodies.js';
import { builtInDefaults } from '../../src/settings/defaults.js';
import { forwarderKeys } from '../../src/settings/keys.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(root + file, 'utf8');

/** A setting as a JSON Schema has it. */
interface Known {
  readonly $ref?: string;
  readonly type: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
}
type Properties = Readonly<Record<string, Known>>;

const { properties } = JSON.parse(read('docs/settings.schema.json')) as {
  properties: { defaults: { properties: Properties } };
};
const settings = Object.entries(properties.defaults.properties).filter(
  ([key]) => !forwarderKeys.includes(key),
);
const names = settings.map(([key]) => key).sort();
const defaults = new Map<string, unknown>(Object.entries(builtInDefaults()));

const { components } = JSON.parse(read('docs/openapi.json')) as {
  components: { schemas: Readonly<Record<string, Known & { properties: Properties }>> };
};
const described = (of: string) => components.schemas[of]?.properties ?? {};

/** The fields of a forward that are no settings of it. */
const elsewhere = ['container', 'count', 'host', 'netns', 'protocol'];

/** With commas between thousands. */
const inDigits = (value: unknown) => String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');

/** How the pages tell what a number, or the length of a list, may be. */
function boundsOf({ type, minimum, maximum, minItems = 0, maxItems }: Known): string {
  if (type === 'integer') return `${inDigits(minimum)} to ${inDigits(maximum)}`;
  if (type !== 'array') return '';
  return minItems === 0 ? `p to ${inDigits(maxItems)}` : `${minItems} to ${inDigits(maxItems)}`;
}

/** The default and the words of a setting, from the rows of a page. */
function rowOf(page: string, key: string): { readonly standard: string; readonly words: string } {
  const row = new RegExp(`^\\| \`${key}\` \\|([^|]*)\\|(.*)\\|$`, 'm').exec(page);
  return { standard: (row?.[1] ?? 'no row').replaceAll(/[`" ]/g, ''), words: row?.[2] ?? '' };
}

/** What the description of the control API says of a field, itself or where it points to. */
function resolved({ $ref, ...own }: Known): Omit<Known, '$ref'> {
  return (
    ($ref === undefined ? own : components.schemas[$ref.split('/').at(-1) ?? '']) ?? {
      type: 'none',
    }
  );
}

/** What is the same wherever a setting is described. */
function essence({ type, minimum, maximum, minItems = 0, maxItems, enum: values }: Known): object {
  return { type, minimum, maximum, minItems, maxItems, values };
}

test('there are settings', () => expect(names).toContain('udpSegmentation'));

test('a forward has the same settings in the description of the control API', () => {
  const fields = Object.keys(described('ForwardSpec'));
  expect(fields.filter((field) => !elsewhere.includes(field)).sort()).toEqual(names);
});

describe.each(settings)('%s', (key, known) => {
  const standard = defaults.get(key);

  test('is in the description of the control API with its bounds and its default', () => {
    const field = resolved(described('ForwardSpec')[key] ?? { type: 'none' });
    expect(essence(field)).toEqual(essence(known));
    expect(field.default).toEqual(standard);
    const besides = described('AddPortRequest')[key];
    if (besides !== undefined) expect(essence(besides)).toEqual(essence(known));
  });

  test('passes the control API up to its bounds, and not with another type', () => {
    const spec = { host: { port: 0 }, container: { port: 80 } };
    const take = (value: unknown) =>
      checked(addRequest, { specs: [{ ...spec, [key]: value }] }, '');
    const list = [['10.0.0.0/8']];
    const right = { integer: [known.minimum, known.maximum], boolean: [true, false], array: list };
    const values = known.enum ?? right[known.type as keyof typeof right];
    for (const value of values) expect(() => take(value)).not.toThrow();
    for (const value of ['', 1.5, null, {}, [1]]) expect(() => take(value)).toThrow(key);
  });

  test('is told of on the page of settings with its bounds and its default', () => {
    const row = rowOf(read('docs/settings.md'), key);
    expect(row.standard).toBe(standard === undefined ? '' : inDigits(standard));
    expect(row.words).toContain(boundsOf(known));
    for (const value of known.enum ?? []) expect(row.words).toContain(`"${value}"`);
  });

  test('is told of on the page of the library with its default', () => {
    const row = rowOf(read('docs/api.md'), key);
    if (standard !== undefined) expect(row.standard).toBe(inDigits(standard));
    else expect(['', 'anynumber', 'anybody', 'nobody']).toContain(row.standard);
  });

  test('has its bounds and its default in the comment of its type, and its default in its schema', () => {
    const spec =
      /export interface ForwardSpec \{\n(.*?)^\}/ms.exec(read('src/types.ts'))?.[1] ?? '';
    const [before = ''] = spec.split(`  readonly ${key}?:`);
    const comment = before.slice(before.lastIndexOf('/**')).replaceAll(/\s+\*?\s*/g, ' ');
    expect(comment).toContain(boundsOf(known));
    if (standard === undefined) return;
    expect(comment.replaceAll('`', '')).toContain(`Default: ${inDigits(standard)}`);
    expect(known.description).toContain(`Default: ${inDigits(standard)}`);
  });
});
