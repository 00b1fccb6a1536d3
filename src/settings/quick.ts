// quick.ts: a settings file for the helper. In the helper a bundle of its own, loaded where there is a file; what explains
// a wrong file is loaded where there is a wrong one.

import { getNodeValue } from 'jsonc-parser';
import { inconsistencies } from './consistency.js';
import { gatesOnly } from './gates.js';
import { parseText, readText } from './syntax.js';
import type { SettingsFile } from './types.js';
import { isValid } from './valid.js';

export { forwarderSettings, withSettings } from './apply.js';

/** A settings file, and a sentence for each thing that is wrong with it; then it is empty. */
export interface QuickSettings {
  readonly file: SettingsFile;
  /** The gates of the file, also of a wrong one; undefined when one of them cannot be made out. */
  readonly gates: SettingsFile | undefined;
  readonly problems: readonly string[];
}

/** Reads a settings file, at once when it is right. Never rejects on account of the file. */
export async function loadQuickly(path: string): Promise<QuickSettings> {
  const file = rightFile(path);
  if (file !== undefined) return { file, gates: gatesOnly(file), problems: [] };
  const { describeProblem, loadSettings } = await import('./load.js');
  const loaded = loadSettings(path);
  const { gates } = loaded;
  return { file: loaded.file, gates, problems: loaded.problems.map(describeProblem) };
}

function rightFile(path: string): SettingsFile | undefined {
  try {
    const { root, findings } = parseText(readText(path));
    if (findings.length > 0) return undefined;
    const value: unknown = root === undefined ? {} : getNodeValue(root);
    return isValid(value) && inconsistencies(value).length === 0 ? value : undefined;
  } catch {
    return undefined;
  }
}
