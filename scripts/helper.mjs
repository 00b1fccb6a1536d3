// helper.mjs: puts the program into libexec/ that container engines execute: the one that was
// compiled here, or a prebuilt one, or the script if there is neither. It is a copy in every case,
// because the program finds its folder by its own place. Docker knows it by another name.

import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const script = 'libexec/own-process/rootlessport';
const executed = 'libexec/rootlessport';

/** Where the compiled program belongs. */
export const programPath = 'libexec/rootlessport';

/** The same program, as dockerd knows it; the script for it only starts Docker's own. */
export const dockerProxyPath = 'libexec/docker-proxy';
const dockerProxyScript = 'libexec/own-process/docker-proxy';

/** The compiled programs, in the order in which they are looked for. */
const programs = ['build/Release/rootlessport', `prebuilds/linux-${process.arch}/rootlessport`];

function copyTo(from, to) {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

function place(from, to, put = copyTo) {
  const partial = `${root}${to}.${process.pid}`;
  mkdirSync(dirname(partial), { recursive: true });
  put(root + from, partial);
  // A container that starts right now gets the old one or the new one.
  renameSync(partial, root + to);
}

const program = programs.find((path) => existsSync(root + path));
if (program) {
  place(program, programPath);
  place(programPath, dockerProxyPath, linkSync);
} else {
  place(dockerProxyScript, dockerProxyPath);
}
if (!program || programPath !== executed) place(script, executed);
