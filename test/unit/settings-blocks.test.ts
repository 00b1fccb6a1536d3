// Blocks of addresses made of random pieces: whatever a check of settings calls right, the library
// takes.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSettings } from '../../src/settings/load.js';
import type { SettingsProblem } from '../../src/settings/settings-types.js';
import { resolveForwards } from '../../src/spec/validate.js';
import { Random } from '../helpers/random.js';

const spec = { host: { port: 1 }, container: { port: 1 }, netns: { pid: 1 } };

function problemsOf(deny: readonly string[]): readonly SettingsProblem[] {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-blocks-'));
  try {
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ defaults: { deny } }));
    return loadSettings(path).problems;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the check of settings accepts the blocks of addresses that the library accepts, and no others', () => {
  const takes = (deny: string[]): boolean => {
    try {
      resolveForwards([{ ...spec, deny }], undefined);
      return true;
    } catch {
      return false;
    }
  };
  const random = new Random(1);
  const pieces = [
    '0',
    '1',
    '08',
    '10',
    '255',
    'ffff',
    'F',
    ':',
    '::',
    '.',
    '/',
    '/8',
    '/032',
    '%1',
    '',
  ];
  const whole = ['10.0.0.0', '::', '::ffff:10.0.0.0', '2001:db8::', '127.0.0.1'];
  const blocks = Array.from({ length: 1_000 }, () => {
    const start = random.once(2) ? random.pick(whole) : '';
    return start + Array.from({ length: random.below(6) }, () => random.pick(pieces)).join('');
  });
  const known = new Set(blocks.filter((block) => takes([block])));
  expect(known.size).toBeGreaterThan(40);
  const problems = problemsOf(blocks);
  const refused = new Set(problems.map(({ key }) => blocks[Number(/\d+/.exec(key)?.[0])]));
  for (const block of blocks) {
    expect([block, refused.has(block)]).toEqual([block, !known.has(block)]);
  }
});
