// package-copy.ts: the package once more, as it is installed, and as it might have been in an
// earlier version.

import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackage } from '../../helpers/installed-package.js';

const project = fileURLToPath(new URL('../../..', import.meta.url));

/** Of the package under test. */
export const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
  readonly version: string;
};

/** An earlier one. As long, because it takes the other's place in an executable. */
export const earlierVersion = version.replace(/\d/g, '0');

/** A copy of the package in a folder of its own. */
export class PackageCopy {
  readonly folder: string;
  readonly shim: string;

  constructor(folder: string) {
    this.folder = folder;
    this.shim = join(folder, 'libexec/rootlessport');
    mkdirSync(folder);
    installPackage(folder);
    cpSync(join(project, 'libexec'), join(folder, 'libexec'), { recursive: true });
  }

  /** A copy whose shim and resident are of {@link earlierVersion}. */
  static earlier(folder: string): PackageCopy {
    const copy = new PackageCopy(folder);
    copy.#rewrite('package.json', `"version": "${version}"`, `"version": "${earlierVersion}"`);
    copy.#rewrite('libexec/rootlessport', `\0${version}\0`, `\0${earlierVersion}\0`);
    return copy;
  }

  /** Changes the one place where a file says something. */
  #rewrite(path: string, from: string, to: string): void {
    const parts = readFileSync(join(this.folder, path), 'latin1').split(from);
    if (parts.length !== 2) throw new Error(`${path} says ${from} ${parts.length - 1} times`);
    writeFileSync(join(this.folder, path), parts.join(to), 'latin1');
  }

  /** Takes the package away from where it is. */
  remove(): void {
    renameSync(this.folder, `${this.folder}.removed`);
  }

  /** Undoes {@link PackageCopy.remove}. */
  putBack(): void {
    renameSync(`${this.folder}.removed`, this.folder);
  }

  /** Puts another copy where this one is. */
  replaceBy(other: PackageCopy): void {
    this.remove();
    renameSync(other.folder, this.folder);
  }
}
