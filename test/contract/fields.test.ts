// The tables of settings and of counters are the one place where each is described. What is
// published is made from them, and everything that takes a setting takes just what its table says.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { Forwarder } from '../../src/index.js';
import { addRequest, checked } from '../../src/control/bodies.js';
import { inDigits } from '../../src/schema/words.js';
import { settingsFile } from '../../src/settings/schema.js';
import { counters } from '../../src/spec/counters.js';
import { engineFields, forwardFields, shimOrder, type Field } from '../../src/spec/fields.js';
import { resolveForwards, resolveOptions } from '../../src/spec/validate.js';
import { publicTypes } from '../helpers/public-types.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('docs/ has what the tables say', () => {
  const stale = execFileSync(process.execPath, ['scripts/docs.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stale).toBe('');
});

test('a forwarder has the counters that the table names, and no other', async () => {
  await using forwarder = new Forwarder();
  // Nothing has failed to connect, so there is no latest error.
  const named = Object.keys(counters).filter((name) => name !== 'connectError');
  expect(Object.keys(forwarder.stats()).sort()).toEqual(named.sort());
});

test('every setting is said to a shim, once', () => {
  const { engine, engineAdded, forward: first, forwardAdded } = shimOrder;
  expect([...engine, ...engineAdded].sort()).toEqual(Object.keys(engineFields).sort());
  const elsewhere = ['sourceAddress', 'acceptProxy'];
  const said = [...first, ...forwardAdded, ...elsewhere];
  expect(said.sort()).toEqual(Object.keys(forwardFields).sort());
});

/** What goes with a value. */
function beside(key: string, value: unknown): object {
  if (key === 'trustedProxies') return { acceptProxy: true };
  return key === 'acceptProxy' && value === true ? { trustedProxies: ['10.0.0.1'] } : {};
}
const forward = { host: { port: 0 }, container: { port: 80 }, netns: { pid: 1 } };

/** Everything that takes a setting: each throws where it is wrong. */
const takers: Readonly<Record<string, (key: string, value: unknown) => void>> = {
  'the library': (key, value) => {
    if (key in engineFields) resolveOptions({ [key]: value });
    else resolveForwards([{ ...forward, ...beside(key, value), [key]: value }], undefined);
  },
  'a settings file': (key, value) => z.parse(settingsFile, { defaults: { [key]: value } }),
};

/** Values at and within the bounds, and values beyond them. */
function valuesOf(field: Field): { readonly right: unknown[]; readonly wrong: unknown[] } {
  switch (field.type) {
    case 'integer': {
      const { min, max } = field;
      return { right: [min, max], wrong: [min - 1, max + 1, min + 0.5, NaN] };
    }
    case 'flag':
      return { right: [true, false], wrong: [0, 'true'] };
    case 'choice':
      return { right: [...field.values], wrong: [`${field.values[0]} `, 0] };
    case 'blocks': {
      const list = (length: number) => Array.from({ length }, () => '10.0.0.0/8');
      const wrong = [list(field.max + 1), [1], '10.0.0.0/8'];
      if (field.min > 0) wrong.push(list(field.min - 1));
      return { right: [list(field.min), list(field.max)], wrong };
    }
  }
}

/** The comment of an option in src/types/, as one line without marks of code. */
function commentOf(owner: string, key: string): string {
  const body =
    new RegExp(`export interface ${owner} \\{\\n(.*?)^\\}`, 'ms').exec(publicTypes)?.[1] ?? '';
  const [before = ''] = body.split(`  readonly ${key}?:`);
  return before
    .slice(before.lastIndexOf('/**'))
    .replaceAll(/\s+\*?\s*/g, ' ')
    .replaceAll('`', '');
}

const all: readonly (readonly [string, Field, string])[] = [
  ...Object.entries<Field>(engineFields).map(
    ([key, field]) => [key, field, 'EngineOptions'] as const,
  ),
  ...Object.entries<Field>(forwardFields).map(
    ([key, field]) => [key, field, 'ForwardSpec'] as const,
  ),
];

describe.each(all)('the setting %s', (key, field, owner) => {
  const { right, wrong } = valuesOf(field);

  test.each(Object.entries(takers))('is taken by %s within its bounds alone', (_, take) => {
    for (const value of right) expect(() => take(key, value)).not.toThrow();
    for (const value of wrong) expect(() => take(key, value)).toThrow();
  });

  test('has its bounds and its default in the comment of its type', () => {
    const comment = commentOf(owner, key);
    if (field.type === 'integer') {
      expect(comment).toMatch(
        new RegExp(`${inDigits(field.min)} to (${inDigits(field.max)}|${field.max / 2 ** 20} MiB)`),
      );
    }
    if (field.type === 'blocks') {
      expect(comment).toContain(`p to ${inDigits(field.max)}`.slice(field.min === 0 ? 0 : 2));
    }
    const { default: standard } = field;
    if (standard === undefined || field.defaultText !== undefined) return;
    const text = typeof standard === 'number' ? inDigits(standard) : String(standard);
    expect(comment).toMatch(new RegExp(`Default: (${text}|${Number(standard) / 2 ** 20} MiB)`));
  });
});

test.each(all.filter(([key]) => key in forwardFields))(
  'the control API takes the setting %s by its type',
  (key, field) => {
    const { right, wrong } = valuesOf(field);
    const take = (value: unknown) =>
      checked(
        addRequest,
        { specs: [{ host: { port: 0 }, container: { port: 80 }, [key]: value }] },
        '',
      );
    for (const value of right) expect(() => take(value)).not.toThrow();
    // The library says what is out of range.
    const types = new Set(right.map((value) => typeof value));
    for (const value of wrong.filter((each) => !types.has(typeof each) || Number.isNaN(each))) {
      expect(() => take(value)).toThrow(key);
    }
  },
);
