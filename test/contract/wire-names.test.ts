// What travels between a shim and the resident as a number is the same thing at both ends.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readSessions, takeEnded } from '../../src/remote/sections.js';
import { Reader, Writer } from '../../src/remote/wire.js';

const endpoint = { address: '127.0.0.1', port: 1 };

/** The words of a table in a header of native/relay/. */
function wordsOf(header: string, table: string): string[] {
  const text = readFileSync(`native/relay/${header}`, 'utf8');
  const list = new RegExp(String.raw`${table} = \{([^}]*)\}`).exec(text)?.[1] ?? '';
  return [...list.matchAll(/"([^"]+)"/g)].map(([, word]) => word ?? '');
}

function readerOf(write: (to: Writer) => void): Reader {
  const to = new Writer();
  to.list([0], () => write(to));
  return new Reader(to.written());
}

test('each state of a session has the same number at both ends', () => {
  const words = wordsOf('forward_types.h', 'kSessionStateNames');
  expect(words.length).toBeGreaterThan(0);
  const read = words.map((_, state) =>
    readSessions().read(
      readerOf((to) => {
        to.i32(1);
        to.u8(0);
        to.u8(state);
        for (let i = 0; i < 3; i++) to.endpoint(endpoint);
        for (let i = 0; i < 3; i++) to.u64(0);
      }),
    ),
  );
  expect(read.flat().map(({ state }) => state)).toEqual(words);
});

test('each ending of a session has the same number at both ends', () => {
  const words = wordsOf('session_ending.h', 'kSessionEndingNames');
  expect(words.length).toBeGreaterThan(0);
  const read = words.map((_, ending) =>
    takeEnded(1).read(
      readerOf((to) => {
        to.i32(1);
        to.u8(0);
        for (let i = 0; i < 2; i++) to.endpoint(endpoint);
        for (let i = 0; i < 3; i++) to.u64(0);
        to.i64(0);
        to.u8(ending);
        to.i32(0);
      }),
    ),
  );
  expect(read.flat().map((ended) => ended.ending)).toEqual(words);
});
