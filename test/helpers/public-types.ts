// public-types.ts: the source text of the library's public types, for tests that compare their
// comments with other texts.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../src/types', import.meta.url));

/** All files of src/types, as one text. */
export const publicTypes = readdirSync(folder)
  .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
  .join('\n');
