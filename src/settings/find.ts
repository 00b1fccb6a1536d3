// find.ts: where the settings file is. Small, because every forwarder loads it.

import { statSync } from 'node:fs';

const SYSTEM_FILE = '/etc/spliceport/config.json';

/**
 * Places of the settings file, in order; the first that exists is the only one that is read.
 * What `$SPLICEPORT_CONFIG` names is the only place there is, whether it exists or not.
 */
export function settingsPlaces(env: NodeJS.ProcessEnv = process.env): string[] {
  const { SPLICEPORT_CONFIG: chosen = '', XDG_CONFIG_HOME: config = '', HOME: home = '' } = env;
  if (chosen !== '') return [chosen];
  // By the rule for these folders, a relative path does not count.
  const folder = config.startsWith('/') ? config : home.startsWith('/') ? `${home}/.config` : '';
  return folder === '' ? [SYSTEM_FILE] : [`${folder}/spliceport/config.json`, SYSTEM_FILE];
}

/**
 * The settings file; undefined where there is none, or it is empty, as /dev/null is.
 * A file that is named but missing, or that cannot be looked at, is given, so that reading it tells what is wrong; but
 * a folder that is closed to this user has none.
 */
export function findSettingsFile(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const places = settingsPlaces(env);
  const isNamed = places[0] === env['SPLICEPORT_CONFIG'];
  for (const place of places) {
    try {
      const stats = statSync(place, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      const isEmpty = stats.size === 0 && (stats.isFile() || stats.isCharacterDevice());
      return isEmpty ? undefined : place;
    } catch (error) {
      // With another user's HOME, as sudo and setpriv leave it, the folder is not this user's to look into.
      if (!isNamed && (error as NodeJS.ErrnoException).code === 'EACCES') continue;
      return place;
    }
  }
  return isNamed ? places[0] : undefined;
}
