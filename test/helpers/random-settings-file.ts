// random-settings-file.ts: the text of a settings file made at random, right or wrong, and what it
// should mean.

import { makeParts, type Parts, type Values } from './random-settings.js';
import type { Random } from './random.js';
import {
  escapeKeys,
  spoilParts,
  spoilShape,
  spoilText,
  type Mistake,
} from './settings-mistakes.js';

/** A settings file. */
export interface MadeFile {
  readonly text: string;
  /** What it says, but for its mistakes. */
  readonly parts: Parts;
  /** None where it is right. */
  readonly mistakes: readonly Mistake[];
  /** Whether its text is JSON with comments, and says nothing twice. */
  readonly isJson: boolean;
}

/** Half of the files are right. */
export function makeSettingsFile(random: Random, firstPort: number): MadeFile {
  const parts = makeParts(random, firstPort);
  if (random.once(2)) {
    return { text: spell(random, fileOf(random, parts)), parts, mistakes: [], isJson: true };
  }
  const spoilt = structuredClone(parts);
  const mistakes: Mistake[] = random.once(3) ? [] : spoilParts(random, spoilt);
  let file = fileOf(random, spoilt);
  if (mistakes.length === 0 && random.once(2)) {
    const shape = spoilShape(random, spoilt);
    file = shape.file;
    mistakes.push(shape.mistake);
  }
  if (mistakes.length > 0) return { text: spell(random, file), parts, mistakes, isJson: true };
  const { text, mistake } = spoilText(random, JSON.stringify(file));
  return { text, parts, mistakes: [mistake], isJson: false };
}

function fileOf(random: Random, { defaults, rules }: Parts): Values {
  return {
    ...(random.once(4) && { $schema: random.pick(['', './settings.schema.json']) }),
    ...((Object.keys(defaults).length > 0 || random.once(2)) && { defaults }),
    ...((rules.length > 0 || random.once(2)) && { rules }),
  };
}

/** One of the ways to write it. */
function spell(random: Random, file: Values): string {
  let text = JSON.stringify(file, undefined, random.pick([0, 1, '\t']));
  if (random.once(2)) {
    text = text.replaceAll(/(?<=": ?)\d+(?=[,}\n])/g, (digits) => respell(random, digits));
  }
  if (random.once(4)) text = escapeKeys(text);
  if (random.once(3)) text = text.replace(/\}$/, '/* }, "deny": [] */ } // the end');
  if (random.once(3)) text = `// { allow: all }\n${text}`;
  if (random.once(4)) text = text.replaceAll('\n', '\r\n');
  return random.once(6) ? `\uFEFF${text}` : text;
}

/** The same number. */
function respell(random: Random, digits: string): string {
  // JSON has no zeros ahead.
  const others = digits === '0' ? ['-0', '0E5'] : [`${digits}0E-1`];
  return random.pick([digits, `${digits}.0`, `${digits}e0`, ...others]);
}
