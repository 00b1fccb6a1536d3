// settings.ts: `spliceport settings`, and the settings of `spliceport forward`.

import { describeProblem, loadSettings } from '../../settings/load.js';
import { findSettingsFile, settingsPlaces } from '../../settings/find.js';
import type { ReadSettings, Rule } from '../../settings/settings-types.js';
import { builtInDefaults } from '../../settings/defaults.js';
import { exitCodes, usageFailure } from '../failure.js';
import { print, printJson } from '../output.js';
import type { SettingsOptions } from './settings-actions.js';
import { tableLines } from '../text/table.js';

/** Checks a settings file, or shows its settings; by default, the file in effect. */
export function settings(
  action: string,
  file: string | undefined,
  { json = false }: SettingsOptions,
): number {
  const path = file ?? findSettingsFile();
  const read = path === undefined ? undefined : loadSettings(path);
  if (action === 'check') check(read, json);
  else show(read, json);
  return read === undefined || read.problems.length === 0 ? exitCodes.done : exitCodes.usage;
}

/**
 * The settings file of `forward`; undefined if there is none.
 * @throws CliFailure if it is invalid
 */
export function requireSettings(): ReadSettings | undefined {
  const path = findSettingsFile();
  if (path === undefined) return undefined;
  const read = loadSettings(path);
  const [first, ...more] = read.problems;
  if (first === undefined) return read;
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  throw usageFailure(
    `invalid settings file: ${describeProblem(first)}${others}`,
    '"spliceport settings check" lists all errors. Set SPLICEPORT_CONFIG=/dev/null to run without the file.',
  );
}

function check(read: ReadSettings | undefined, json: boolean): void {
  if (json) {
    const { path = null, problems = [] } = read ?? {};
    printJson({ path, places: settingsPlaces(), problems });
    return;
  }
  if (read === undefined) {
    print(absence());
    return;
  }
  for (const problem of read.problems) print(describeProblem(problem));
  if (read.problems.length === 0) print(`${read.path}: OK`);
}

function show(read: ReadSettings | undefined, json: boolean): void {
  const { path = null, file = {}, problems = [] } = read ?? {};
  const { defaults: given = {}, rules = [] } = file;
  const builtIn = builtInDefaults();
  const log = { ...builtIn.log, ...given.log };
  const effective = { ...builtIn, ...given, log };
  if (json) {
    printJson({ path, places: settingsPlaces(), problems, settings: effective, rules });
    return;
  }
  print(path ?? absence());
  for (const problem of problems) print(`not used: ${describeProblem(problem)}`);
  print('');
  const own = new Map(flat(given));
  const rows = flat(effective).map(([key, value]) => [key, value, own.has(key) ? 'file' : '']);
  for (const line of tableLines(titles('SETTING', 'VALUE', 'FROM'), rows)) print(line);
  if (rules.length === 0) return;
  print('');
  const ruleRows = rules.map((rule, index) => [`rules[${index}]`, ...wordsOf(rule)]);
  for (const line of tableLines(titles('RULE', 'FOR', 'SETS'), ruleRows)) print(line);
}

function absence(): string {
  return `no settings file found: ${settingsPlaces().join(', ')}`;
}

function titles(...names: readonly string[]) {
  return names.map((title) => ({ title }));
}

function wordsOf({ match, set }: Rule): string[] {
  const inWords = (settings: object): string =>
    flat(settings)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ');
  return [inWords(match) || 'every forward', inWords(set)];
}

/** Keys with their values; keys within `log` become `log.level` and so on. */
function flat(settings: object): [key: string, value: string][] {
  return Object.entries(settings).flatMap(([key, value]: [string, unknown]) =>
    key === 'log' && typeof value === 'object' && value !== null
      ? flat(value).map(([inner, text]): [string, string] => [`log.${inner}`, text])
      : [[key, typeof value === 'string' ? value : JSON.stringify(value)] as [string, string]],
  );
}
