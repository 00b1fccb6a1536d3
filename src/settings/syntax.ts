// syntax.ts: from the path of a settings file to its JSON, with the place of each part. Comments are allowed.

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

/** What is at the place is no file. */
export class NoFile extends Error {}

/** The text of a settings file. Never waits: what should be a file may be a pipe that nobody writes to. */
export function readText(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw new NoFile('it is a folder');
    if (!stats.isFile() && !stats.isCharacterDevice()) throw new NoFile('it is no plain file');
    if (stats.size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes`);
    return stats.isFile() ? readFileSync(fd, 'utf8').replace(/^\uFEFF/, ' ') : '';
  } finally {
    closeSync(fd);
  }
}

/** Reads JSON; undefined when it is none. Nothing at all is an empty object's worth: there is no root. */
export function parseText(text: string): { readonly root?: Node; readonly findings: Finding[] } {
  if (text.trim() === '') return { findings: [] };
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: false, allowTrailingComma: false });
  const [first] = errors;
  if (root !== undefined && first === undefined) return { root, findings: repetitions(root) };
  const words = first === undefined ? undefined : syntaxWords[printParseErrorCode(first.error)];
  const message = `not JSON: expected ${words ?? 'what JSON allows here'}`;
  return { findings: [{ offset: first?.offset ?? 0, key: '', message }] };
}

const syntaxWords: Readonly<Partial<Record<string, string>>> = {
  CloseBraceExpected: 'a comma or }',
  CloseBracketExpected: 'a comma or ]',
  ColonExpected: 'a colon',
  CommaExpected: 'a comma',
  EndOfFileExpected: 'the end of the file',
  InvalidNumberFormat: 'a number as JSON writes it',
  InvalidSymbol: 'a value, or a key in double quotes',
  PropertyNameExpected: 'a key in double quotes',
  UnexpectedEndOfComment: 'the end of the comment',
  UnexpectedEndOfString: 'the end of the text, a double quote',
  ValueExpected: 'a value',
};

/** Of a key that is there twice, JSON's readers take one or the other. */
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
        const message = 'expected each key once, but this one is there already';
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
