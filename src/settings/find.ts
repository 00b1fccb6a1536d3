// find.ts: finds the settings file. Small, because every forwarder loads it.

import { statSync } from 'node:fs';

const SYSTEM_FILE = '/etc/spliceport/config.json';

/**
 * Paths of the settings file, in order; only the first that exists is read.
 * If `$SPLICEPORT_CONFIG` is set, it is the only path, even if that file does not exist.
 */
export function settingsPlaces(env: NodeJS.ProcessEnv = process.env): string[] {
  const { SPLICEPORT_CONFIG: chosen = '', XDG_CONFIG_HOME: config = '', HOME: home = '' } = env;
  if (chosen !== '') return [chosen];
  // The XDG specification ignores relative paths.
  const folder = config.startsWith('/') ? config : home.startsWith('/') ? `${home}/.config` : '';
  return folder === '' ? [SYSTEM_FILE] : [`${folder}/spliceport/config.json`, SYSTEM_FILE];
}

/**
 * The settings file; undefined if there is none, or if it is empty, such as /dev/null. A file that
 * is missing although it is named, or that stat(2) fails for, is returned: reading it reports the
 * reason. A folder that this user may not search counts as empty.
 * @param pathFor - What a path means, where it is another process's.
 */
export function findSettingsFile(
  env: NodeJS.ProcessEnv = process.env,
  pathFor: (path: string) => string = (path) => path,
): string | undefined {
  const places = settingsPlaces(env);
  const isNamed = places[0] === env['SPLICEPORT_CONFIG'];
  for (const place of places) {
    try {
      const stats = statSync(pathFor(place), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      const isEmpty = stats.size === 0 && (stats.isFile() || stats.isCharacterDevice());
      return isEmpty ? undefined : place;
    } catch (error) {
      // sudo and setpriv may leave another user's HOME, whose folders this user may not search.
      if (!isNamed && (error as NodeJS.ErrnoException).code === 'EACCES') continue;
      return place;
    }
  }
  return isNamed ? places[0] : undefined;
}
