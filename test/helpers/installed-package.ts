// installed-package.ts: the package as a user finds it who cannot read the project.

import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';

const project = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Copies what the package runs from, and the packages that it needs, into a folder; every user may
 * read it.
 */
export function installPackage(folder: string): void {
  for (const part of ['lib', 'package.json', 'build/Release/spliceport.node', ...dependencies()]) {
    const target = path.join(folder, part);
    if (existsSync(target)) continue;
    mkdirSync(path.dirname(target), { recursive: true });
    cpSync(path.join(project, part), target, { recursive: true });
  }
  execFileSync('chmod', ['-R', 'a+rX', folder]);
}

/** The folders of the packages that are needed at run time. */
export function dependencies(): string[] {
  const lock = JSON.parse(readFileSync(path.join(project, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  return Object.entries(lock.packages)
    .filter(([folder, { dev = false }]) => folder.startsWith('node_modules/') && !dev)
    .map(([folder]) => folder)
    .filter((folder) => existsSync(path.join(project, folder)));
}
