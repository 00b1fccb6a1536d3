// load.ts: reads a settings file, and reports where its mistakes are.

import { findNodeAtLocation, getNodeValue, type Node } from 'jsonc-parser';
import * as z from 'zod/mini';
import { inconsistencies } from './consistency.js';
import { countGates, gatesOnly, mentionsGates } from './gates.js';
import { settingsFile } from './schema.js';
import { inWords, NoFile, parseText, readText, type Finding, type Place } from './syntax.js';
import type { ReadSettings, SettingsFile, SettingsProblem } from './settings-types.js';

const MAX_SHOWN_LENGTH = 60;

/**
 * Reads a settings file. Never throws: mistakes are in `problems`. Comments are allowed.
 * @param place - Where it is, if that is not what messages call it.
 */
export function loadSettings(path: string, place = path): ReadSettings {
  let text: string;
  try {
    text = readText(place);
  } catch (error) {
    const message = `cannot be read: ${(error as Error).message}`;
    const gates = hasNoContent(error) ? {} : undefined;
    return { path, file: {}, gates, problems: [{ path, key: '', message }] };
  }
  const { file, gates, findings } = check(text);
  const inOrder = findings.toSorted((one, other) => one.offset - other.offset);
  const problems = inOrder.map(({ offset, key, message }): SettingsProblem => {
    return { path, ...positionOf(text, offset), key, message };
  });
  return { path, file: problems.length === 0 ? file : {}, gates, problems };
}

/**
 * `/etc/spliceport/config.json:3:14: defaults.workers: expected an integer from 1 to 64, not "two"`
 */
export function describeProblem({ path, line, column, key, message }: SettingsProblem): string {
  const position = line === undefined ? '' : `:${line}:${column ?? 1}`;
  return `${path}${position}: ${key === '' ? '' : `${key}: `}${message}`;
}

interface Checked {
  readonly file: SettingsFile;
  readonly gates: SettingsFile | undefined;
  readonly findings: Finding[];
}

function check(text: string): Checked {
  const { root, findings } = parseText(text);
  if (root === undefined || findings.length > 0) {
    return { file: {}, gates: mentionsGates(text) ? undefined : {}, findings };
  }
  const value: unknown = getNodeValue(root);
  const gates = readableGates(value);
  const result = z.safeParse(settingsFile, value);
  if (!result.success) {
    const invalid = result.error.issues.flatMap((issue) => findingsOf(issue, root));
    return { file: {}, gates, findings: invalid };
  }
  const file = result.data as SettingsFile;
  const inconsistent = inconsistencies(file);
  return {
    file,
    gates,
    findings: inconsistent.map(({ place, message }) => findingAt(root, place, message)),
  };
}

/**
 * The gates of a file that may have mistakes elsewhere; undefined if a gate is invalid, or in an
 * unknown place.
 */
function readableGates(value: unknown): SettingsFile | undefined {
  const gates = gatesOnly(value);
  if (countGates(gates) !== countGates(value)) return undefined;
  const isOk = z.safeParse(settingsFile, gates).success && inconsistencies(gates).length === 0;
  return isOk ? gates : undefined;
}

/** Whether nothing at the path could contain gates. */
function hasNoContent(error: unknown): boolean {
  return error instanceof NoFile || (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function findingsOf(issue: z.core.$ZodIssue, root: Node): Finding[] {
  const place = issue.path as Place;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const value = findNodeAtLocation(root, [...place, key]);
      const offset = value?.parent?.offset ?? root.offset;
      const message = `unknown; ${issue.message}`;
      return { offset, key: inWords([...place, key]), message };
    });
  }
  return [findingAt(root, place, issue.message)];
}

/** A problem with a value; if the value is missing, with the object around it. */
function findingAt(root: Node, place: Place, message: string): Finding {
  const node = findNodeAtLocation(root, [...place]);
  const around = node ?? findNodeAtLocation(root, place.slice(0, -1)) ?? root;
  const found = node === undefined ? 'but it is missing' : `not ${shown(node)}`;
  return { offset: around.offset, key: inWords(place), message: `${message}, ${found}` };
}

function shown(node: Node): string {
  const text = JSON.stringify(getNodeValue(node));
  return text.length <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH)}…`;
}

function positionOf(
  text: string,
  offset: number,
): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset).split(/\r\n|\n|\r/);
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}
