// helper.mjs: puts the program into libexec/ that container engines execute: the one that was
// compiled here, or a prebuilt one, or the script if there is neither. It is a copy in every case,
// because the program finds its folder by its own place.

import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const script = 'libexec/own-process/rootlessport';
const executed = 'libexec/rootlessport';

/** Where the compiled program belongs. */
export const programPath = 'libexec/rootlessport';

/** The compiled programs, in the order in which they are looked for. */
const programs = ['build/Release/rootlessport', `prebuilds/linux-${process.arch}/rootlessport`];

function place(from, to) {
  const partial = `${root}${to}.${process.pid}`;
  mkdirSync(dirname(partial), { recursive: true });
  copyFileSync(root + from, partial);
  chmodSync(partial, 0o755);
  // A container that starts right now gets the old one or the new one.
  renameSync(partial, root + to);
}

const program = programs.find((path) => existsSync(root + path));
if (program) place(program, programPath);
if (!program || programPath !== executed) place(script, executed);
