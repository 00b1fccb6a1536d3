// settings-schema.mjs: writes docs/settings.schema.json, the JSON Schema of settings files, from lib/settings/schema.js.
// `node scripts/settings-schema.mjs --print` prints it instead.

import { writeFileSync } from 'node:fs';
import { format } from 'prettier';
import * as z from 'zod/mini';
import { settingsFile } from '../lib/settings/schema.js';

const target = new URL('../docs/settings.schema.json', import.meta.url);

const { $schema, ...schema } = z.toJSONSchema(settingsFile, { io: 'input' });
const text = await format(JSON.stringify({ $schema, title: 'Settings of spliceport', ...schema }), {
  parser: 'json',
  printWidth: 100,
});
if (process.argv.includes('--print')) process.stdout.write(text);
else writeFileSync(target, text);
