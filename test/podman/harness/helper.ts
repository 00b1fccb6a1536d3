// helper.ts: which helper podman runs, and how it gets into the machine.

import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execute } from './execute.js';
import type { Machine, MachineProcess } from './machine.js';

const project = fileURLToPath(new URL('../../..', import.meta.url));
const installed = '/run/spliceport';
export const packagedHelpers = ['/usr/lib/podman/rootlessport', '/usr/libexec/podman/rootlessport'];

/**
 * The folder of another helper, to see what the tests say of it:
 * `SPLICEPORT_PODMAN_HELPER=/usr/lib/podman`.
 */
const otherFolder = process.env['SPLICEPORT_PODMAN_HELPER'];

/** Whether containers are served by a shim and a resident, or by a process of their own. */
export const isShim = process.env['SPLICEPORT_TEST_PROCESS'] !== 'own';

/** Whether the helper under test is the project's own. */
export const isOurs = otherFolder === undefined;

/** For podman's `CONTAINERS_HELPER_BINARY_DIR`. */
export const helperFolder =
  otherFolder ?? path.join(installed, isShim ? 'libexec' : 'libexec/own-process');

/** Whether a process is the one for all containers of a user. */
export function isResident({ commandLine }: MachineProcess): boolean {
  return commandLine.some((file) => file.endsWith('/lib/resident/main.cjs'));
}

/** Whether a process is the helper under test, and of a single container. */
export function isHelper(process: MachineProcess): boolean {
  if (isResident(process)) return false;
  const { exe, commandLine } = process;
  const own = otherFolder === undefined ? `${installed}/` : path.join(otherFolder, 'rootlessport');
  return [exe, ...commandLine].some((file) => file.startsWith(own));
}

/**
 * Puts the package into the machine as npm would install it, because the user may be unable to read
 * the project. The packaged helper gives way to one that only fails, so that whatever works there,
 * works through ours.
 */
export async function installHelper(machine: Machine): Promise<void> {
  if (!isOurs) return;
  const target = machine.outside(installed);
  const copy = (entry: string): void => {
    cpSync(path.join(project, entry), path.join(target, entry), {
      recursive: true,
      dereference: true,
    });
  };
  mkdirSync(target);
  for (const entry of ['package.json', 'libexec', 'lib', 'node_modules/node-gyp-build']) {
    copy(entry);
  }
  if (existsSync(path.join(project, 'prebuilds'))) copy('prebuilds');
  for (const file of readdirSync(path.join(project, 'build/Release'))) {
    if (file.endsWith('.node')) copy(`build/Release/${file}`);
  }
  writeFileSync(path.join(target, 'lib/node-path'), '/run/test/node\n');
  await execute('chmod', ['-R', 'a+rX', target]);
  await maskPackagedHelper(machine);
}

async function maskPackagedHelper(machine: Machine): Promise<void> {
  const decoy = '/run/test/packaged-helper';
  writeFileSync(machine.outside(decoy), '#!/bin/sh\necho the packaged helper was run\nexit 1\n', {
    mode: 0o755,
  });
  for (const helper of packagedHelpers) {
    if (!existsSync(machine.outside(helper))) continue;
    const { code, stderr } = await machine.asRoot(['mount', '--bind', decoy, helper]);
    if (code !== 0) throw new Error(stderr);
  }
}
