// rootlessport.ts: the packaged rootlessport and spliceport, both started as Podman starts its
// helper.

import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../lab.js';
import { run } from '../process.js';
import type { Runnable } from '../root.js';
import type { Driver, ForwardRequest, Helpers } from '../types.js';
import { startHelpers } from './helpers.js';
import { Peer } from './peer.js';
import type { DriverSpec } from './running.js';

const ELF = Buffer.from('\x7fELF', 'latin1');
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** How a program is found and described. */
type HelperProgram = Pick<Driver, 'missing' | 'version' | 'origin' | 'hasResident'> & {
  readonly find: (lab: Lab) => Runnable;
};

function helperDriver(spec: DriverSpec, program: HelperProgram): Driver {
  const startMany = (
    lab: Lab,
    requests: readonly ForwardRequest[],
    together = requests.length,
  ): Promise<Helpers> => startHelpers(lab, program.find(lab), requests, together);
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: true,
    both: true,
    reloads: true,
    missing: () => program.missing(),
    version: () => program.version(),
    origin: () => program.origin(),
    hasResident: () => program.hasResident?.() ?? false,
    start: (lab, request) => startMany(lab, [request]),
    startMany,
  };
}

/** The helper that Debian's Podman brings. */
export function rootlessport(spec: DriverSpec): Driver {
  const peer = new Peer(spec, { program: 'rootlessport', package: 'podman' });
  return helperDriver(spec, {
    missing: () => peer.missing(),
    version: () => peer.version(),
    origin: () => peer.origin(),
    find: (lab) => peer.runnable(lab),
  });
}

/**
 * This project, or another build of it: `spliceport=/path/to/libexec`, or its helper with a Node
 * process for each container: `spliceport=libexec/own-process`.
 */
export function spliceport(spec: DriverSpec): Driver {
  const file = resolve(spec.path ?? join(PROJECT, 'libexec'), 'rootlessport');
  return helperDriver(spec, {
    missing: () => (existsSync(file) ? undefined : `${file} is missing: npm run build`),
    version: () => revisionOf(dirname(file)),
    origin: () => originOf(spec),
    find: () => ({ file, env: spec.settings }),
    hasResident: () => isNative(file),
  });
}

/** Whether a program is compiled: the helper that has a resident is, the other one is a script. */
export function isNative(file: string): boolean {
  const start = Buffer.alloc(4);
  const fd = openSync(file, 'r');
  try {
    readSync(fd, start);
  } finally {
    closeSync(fd);
  }
  return start.equals(ELF);
}

/** Where a build of this project is from. */
export function originOf(spec: DriverSpec): string {
  return spec.path === undefined ? 'this checkout' : resolve(spec.path);
}

/** The commit that a folder of a build belongs to. */
export function revisionOf(folder: string): string {
  try {
    return run('git', '-C', join(folder, '..'), 'log', '-1', '--format=%h of %cs').trim();
  } catch {
    return 'unknown revision';
  }
}
