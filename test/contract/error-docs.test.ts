// Holds docs/errors.md against the code: what can be thrown is documented, and nothing else is.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The modules of the public API. system.ts is for the project's own front-ends, and counters.ts
 * only has texts.
 */
const library = ['src', 'src/spec', 'src/engine']
  .flatMap((folder) => readdirSync(`${root}${folder}`).map((file) => `${folder}/${file}`))
  .filter((file) => file.endsWith('.ts') && !/^src\/(system|spec\/counters)\.ts$/.test(file))
  .map((file) => readFileSync(`${root}${file}`, 'utf8'))
  .join('\n');
const page = readFileSync(`${root}docs/errors.md`, 'utf8');

function found(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, match = '']) => match))].sort();
}

/** The rows of the tables in the section of this title, as cells. */
function rowsOf(title: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`));
  const lines = section?.match(/^\| .*\|$/gm) ?? [];
  return lines.slice(1).map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );
}

/** The names in backticks at the beginning of rows. */
function keysOf(title: string): string[] {
  return rowsOf(title).flatMap(([key = '']) => found(key, /`(\w+)`/g));
}

describe('docs/errors.md', () => {
  const ownCode = /['`](ERR_SPLICEPORT_[A-Z_]+)['`]/g;
  const systemCode = /['`](E[A-Z]{3,})['`]/g;

  test('lists every code of the library, and no other, in order', () => {
    const codes = found(library, ownCode);
    expect(codes.length).toBeGreaterThan(0);
    expect(keysOf('Codes of the library')).toEqual(codes);
  });

  test('lists every errno for which the library has a hint, and no other, in order', () => {
    const codes = found(library, systemCode);
    expect(codes).toContain('EADDRINUSE');
    expect(keysOf('Codes of the system')).toEqual(codes);
  });

  test('gives for each its meaning, fields, cause and remedy', () => {
    for (const row of [...rowsOf('Codes of the library'), ...rowsOf('Codes of the system')]) {
      expect(row, row[0]).toHaveLength(5);
      expect(
        row.every((cell) => cell !== ''),
        row[0],
      ).toBe(true);
    }
  });

  test('lists every field of the errors, and no other', () => {
    const classes = readFileSync(`${root}src/errors.ts`, 'utf8').split('export class').slice(1);
    const fields = classes.flatMap((text) =>
      found(text.slice(0, text.indexOf('constructor')), /^ {2}(?:declare )?readonly (\w+)/gm),
    );
    expect(keysOf('Fields').sort()).toEqual([...new Set([...fields, 'message', 'cause'])].sort());
  });

  test('names no field that its list of fields does not have', () => {
    const known = keysOf('Fields');
    for (const [code, , cell = ''] of [
      ...rowsOf('Codes of the library'),
      ...rowsOf('Codes of the system'),
    ]) {
      for (const field of found(cell, /`([a-z]\w*)`/g)) {
        expect(known, code).toContain(field);
      }
    }
  });

  test('names no code that its tables do not have', () => {
    const listed = [...keysOf('Codes of the library'), ...keysOf('Codes of the system')];
    for (const code of [...found(page, ownCode), ...found(page, systemCode)]) {
      expect(listed).toContain(code);
    }
  });
});

test('index.ts exports the union of all codes of the library', () => {
  const errors = readFileSync(`${root}src/errors.ts`, 'utf8');
  const union = /export type SpliceportErrorCode =([^;]+);/.exec(errors)?.[1] ?? '';
  expect(found(union, /'(\w+)'/g)).toEqual(found(library, /['`](ERR_SPLICEPORT_[A-Z_]+)['`]/g));
});
