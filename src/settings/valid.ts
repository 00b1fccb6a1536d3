// valid.ts: checks a settings file against its schema. The helper's bundle has a function compiled
// from the schema instead, because the library that explains mistakes takes a dozen milliseconds to
// load.

import * as z from 'zod/mini';
import { settingsFile } from './schema.js';
import type { SettingsFile } from './settings-types.js';

/** Whether the value is valid. */
export function isValid(value: unknown): value is SettingsFile {
  return z.safeParse(settingsFile, value).success;
}
