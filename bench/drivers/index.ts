// index.ts: the programs that can be measured, and how the command line names them.

import { basename, dirname, resolve } from 'node:path';
import type { Driver } from '../types.js';
import { direct } from './direct.js';
import { dockerProxy } from './docker-proxy.js';
import { haproxy } from './haproxy.js';
import { library } from './library.js';
import { pasta } from './pasta.js';
import { rootlessport, spliceport } from './rootlessport.js';
import type { DriverSpec } from './running.js';
import { slirp4netns } from './slirp4netns.js';
import { socat } from './socat.js';

const MAKERS: Readonly<Record<string, (spec: DriverSpec) => Driver>> = {
  spliceport,
  rootlessport,
  pasta,
  haproxy,
  'docker-proxy': dockerProxy,
  socat,
  slirp4netns,
  direct,
  library,
};

/** The program that all others are compared with. */
export const REFERENCE = 'rootlessport';

/** Every kind of driver. */
export const DRIVER_KINDS: readonly string[] = Object.keys(MAKERS);

/**
 * What a run that names no driver measures: the others are not chosen for speed, or are this
 * project once more.
 */
export const DEFAULT_DRIVERS: readonly string[] = DRIVER_KINDS.filter(
  (kind) => !['socat', 'slirp4netns', 'library'].includes(kind),
);

/** The last name in a path that says more than that programs are there. */
function nameOf(path: string): string {
  const folder = resolve(path);
  return ['bin', 'lib', 'libexec', 'sbin'].includes(basename(folder))
    ? basename(dirname(folder))
    : basename(folder);
}

/**
 * Reads `KIND[:LABEL][=FOLDER][,NAME=VALUE]...`: another folder of executables (of peers a Debian
 * root too), and variables for its environment (for the library: another folder of compiled
 * JavaScript, and options of its constructor).
 * @throws Error if the text is malformed or names an unknown kind
 */
export function parseDriver(text: string): Driver {
  const [head = '', ...pairs] = text.split(',');
  const match = /^([a-z0-9-]+)(?::([^=]+))?(?:=(.+))?$/.exec(head);
  const make = MAKERS[match?.[1] ?? ''];
  if (match === null || make === undefined) {
    throw new Error(`Expected a driver (${DRIVER_KINDS.join(', ')}) but received ${text}`);
  }
  const [, kind = '', label, path] = match;
  const settings = Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new Error(`Expected NAME=VALUE but received ${pair}`);
      return [pair.slice(0, equals), pair.slice(equals + 1)] as const;
    }),
  );
  const parts = [path === undefined ? '' : nameOf(path), ...pairs];
  const suffix = label ?? parts.filter((part) => part !== '').join(',');
  return make({
    kind,
    label: suffix === '' ? kind : `${kind}:${suffix}`,
    settings,
    ...(path === undefined ? {} : { path }),
  });
}
