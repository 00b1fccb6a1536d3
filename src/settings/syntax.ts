// syntax.ts: reads a settings file as JSON that keeps the position of each part. Comments are
// allowed.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser';

const MAX_BYTES = 1024 * 1024;

/** Keys and indexes, from the top of the file. */
export type Place = readonly (number | string)[];

/** Something wrong, at an offset in the text. */
export interface Finding {
  readonly offset: number;
  readonly key: string;
  readonly message: string;
}

/** The path leads to something that is not a file. */
export class NoFile extends Error {}

/** The text of a settings file. Never blocks, even if the path is a pipe without a writer. */
export function readText(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw new NoFile('it is a folder');
    if (!stats.isFile() && !stats.isCharacterDevice()) throw new NoFile('it is not a regular file');
    if (stats.size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    return stats.isFile() ? readFileSync(fd, 'utf8').replace(/^\uFEFF/, ' ') : '';
  } finally {
    closeSync(fd);
  }
}

/**
 * Parses JSON. Without text there is neither a root nor a finding: that counts as an empty object.
 */
export function parseText(text: string): { readonly root?: Node; readonly findings: Finding[] } {
  if (text.trim() === '') return { findings: [] };
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: false, allowTrailingComma: false });
  const [first] = errors;
  if (root !== undefined && first === undefined) return { root, findings: repetitions(root) };
  const words = first === undefined ? undefined : syntaxWords[printParseErrorCode(first.error)];
  const message = `not JSON: expected ${words ?? 'something else here'}`;
  return { findings: [{ offset: first?.offset ?? 0, key: '', message }] };
}

const syntaxWords: Readonly<Partial<Record<string, string>>> = {
  CloseBraceExpected: 'a comma or }',
  CloseBracketExpected: 'a comma or ]',
  ColonExpected: 'a colon',
  CommaExpected: 'a comma',
  EndOfFileExpected: 'the end of the file',
  InvalidNumberFormat: 'a JSON number',
  InvalidSymbol: 'a value, or a key in double quotes',
  PropertyNameExpected: 'a key in double quotes',
  UnexpectedEndOfComment: 'the end of the comment',
  UnexpectedEndOfString: 'a double quote at the end of the text',
  ValueExpected: 'a value',
};

/** Keys that occur twice: parsers of JSON differ in which one they use. */
function repetitions(root: Node): Finding[] {
  const findings: Finding[] = [];
  const look = (node: Node, place: Place): void => {
    const seen = new Set<string>();
    for (const [index, child] of (node.children ?? []).entries()) {
      if (node.type !== 'object') {
        look(child, [...place, index]);
        continue;
      }
      const [key, value] = child.children ?? [];
      const name = String(key?.value);
      if (seen.has(name)) {
        const message = 'expected each key once, but this one is a duplicate';
        findings.push({ offset: child.offset, key: inWords([...place, name]), message });
      }
      seen.add(name);
      if (value !== undefined) look(value, [...place, name]);
    }
  };
  look(root, []);
  return findings;
}

/** `rules[0].set.workers` */
export function inWords(place: Place): string {
  return place.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`;
    return path === '' ? key : `${path}.${key}`;
  }, '');
}
