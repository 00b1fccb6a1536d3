// quick.ts: reads the settings file for the helper, in a bundle that is loaded only if there is a
// file. What explains mistakes is loaded only if there are some.

import { getNodeValue } from 'jsonc-parser';
import { inconsistencies } from './consistency.js';
import { gatesOnly } from './gates.js';
import { parseText, readText } from './syntax.js';
import type { SettingsFile } from './settings-types.js';
import { isValid } from './valid.js';

export { engineSettings, forwarderSettings, withSettings } from './apply.js';

/** A settings file, and a sentence for each mistake in it; with mistakes, `file` is empty. */
export interface QuickSettings {
  readonly file: SettingsFile;
  /** The gates of the file, even of an invalid one; undefined if one of them is invalid. */
  readonly gates: SettingsFile | undefined;
  readonly problems: readonly string[];
}

/**
 * Reads a settings file; fast if it is valid. Never rejects because of the file.
 * @param place - Where it is, if that is not what messages call it.
 */
export async function loadQuickly(path: string, place = path): Promise<QuickSettings> {
  const file = validFile(place);
  if (file !== undefined) return { file, gates: gatesOnly(file), problems: [] };
  const { describeProblem, loadSettings } = await import('./load.js');
  const loaded = loadSettings(path, place);
  const { gates } = loaded;
  return { file: loaded.file, gates, problems: loaded.problems.map(describeProblem) };
}

function validFile(path: string): SettingsFile | undefined {
  try {
    const { root, findings } = parseText(readText(path));
    if (findings.length > 0) return undefined;
    const value: unknown = root === undefined ? {} : getNodeValue(root);
    return isValid(value) && inconsistencies(value).length === 0 ? value : undefined;
  } catch {
    return undefined;
  }
}
