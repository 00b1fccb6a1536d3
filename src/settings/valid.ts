// valid.ts: whether a value is a settings file by its schema. In the helper's bundle a function compiled from that schema
// stands in its place, because the library that explains what is wrong takes a dozen milliseconds to load.

import * as z from 'zod/mini';
import { settingsFile } from './schema.js';
import type { SettingsFile } from './types.js';

/** Whether the value is right. */
export function isValid(value: unknown): value is SettingsFile {
  return z.safeParse(settingsFile, value).success;
}
