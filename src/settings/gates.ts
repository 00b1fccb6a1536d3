// gates.ts: takes the settings that limit clients from a settings file. They apply even if the rest
// of it is invalid.

import { stripComments } from 'jsonc-parser';
import { gateKeys } from './keys.js';
import type { SettingsFile } from './settings-types.js';

/**
 * A file with only its gates. From an invalid file it takes what is in the right places, valid or
 * not.
 */
export function gatesOnly(file: unknown): SettingsFile {
  const { defaults, rules } = recordOf(file);
  const ruled = (Array.isArray(rules) ? rules : []).flatMap((rule: unknown) => {
    const { match, set } = recordOf(rule);
    const gates = gatesAmong(set);
    return Object.keys(gates).length === 0 ? [] : [{ match, set: gates }];
  });
  return { defaults: gatesAmong(defaults), rules: ruled as SettingsFile['rules'] & object };
}

/** How many gates a value contains, at any depth. */
export function countGates(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + countGates(each), 0);
  return Object.entries(recordOf(value)).reduce(
    (sum, [key, each]) => sum + (gateKeys.includes(key) ? 1 : countGates(each)),
    0,
  );
}

/** Whether a text that is not JSON seems to have gates. */
export function mentionsGates(text: string): boolean {
  const name = `\\b(?:${gateKeys.join('|')})\\b`;
  // The mistake may be the colon, or where a comment ends.
  return (
    new RegExp(name).test(withoutEscapes(stripComments(text))) ||
    new RegExp(`${name}["']?\\s*:`).test(withoutEscapes(text))
  );
}

/** With characters instead of their \u escapes, which JSON allows in keys too. */
function withoutEscapes(text: string): string {
  return text.replaceAll(/\\u([\da-f]{4})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

function gatesAmong(settings: unknown): object {
  return Object.fromEntries(
    Object.entries(recordOf(settings)).filter(([key]) => gateKeys.includes(key)),
  );
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isRecord ? (value as Record<string, unknown>) : {};
}
