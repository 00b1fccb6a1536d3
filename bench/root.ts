// root.ts: programs of a Debian root (scripts/debian-root.sh), run beside those of this machine
// without entering it.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run } from './process.js';

/** Where Debian keeps the programs that are measured. */
export const PROGRAM_FOLDERS = ['usr/bin', 'usr/sbin', 'usr/libexec/podman', 'usr/lib/podman'];

const PACKAGES = 'var/lib/dpkg';

/** Whether a folder is a whole system of Debian's. */
export function isRoot(folder: string): boolean {
  return existsSync(join(folder, PACKAGES, 'status'));
}

/**
 * The program in that folder, or in the places that a system has for programs; undefined when it
 * has none.
 */
export function findProgram(folder: string, name: string): string | undefined {
  return ['', ...PROGRAM_FOLDERS]
    .map((place) => join(folder, place, name))
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
}

/** A package's name and version. @throws Error when the root does not have it */
export function packageIn(root: string, name: string): string {
  const database = `--admindir=${join(root, PACKAGES)}`;
  return `${name} ${run('dpkg-query', database, '--show', '--showformat=${Version}', name)}`;
}

/** What a root calls itself. */
export function systemName(root = '/'): string {
  try {
    const text = readFileSync(join(root, 'etc/os-release'), 'utf8');
    return /^PRETTY_NAME="(.*)"$/m.exec(text)?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}

/** A program that can be started, and what it needs in its environment. */
export interface Runnable {
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Where a file names the program that loads it. */
interface Interpreter {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/**
 * The PT_INTERP segment of a 64-bit little-endian program; undefined in one that is static. @see
 * elf(5)
 */
function interpreterOf(program: Buffer): Interpreter | undefined {
  if (program.length < 64 || program.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const first = Number(program.readBigUInt64LE(32));
  const size = program.readUInt16LE(54);
  const headers = Array.from({ length: program.readUInt16LE(56) }, (_, i) => first + i * size);
  const header = headers.find((at) => program.readUInt32LE(at) === 3);
  if (header === undefined) return undefined;
  const offset = Number(program.readBigUInt64LE(header + 8));
  const length = Number(program.readBigUInt64LE(header + 32));
  return { path: program.toString('latin1', offset, offset + length - 1), offset, size: length };
}

/** The root's folder of libraries, which has the loader of that name too. */
function libraryFolder(root: string, loader: string): string {
  const libraries = join(root, 'usr/lib');
  const found = readdirSync(libraries).find((name) => existsSync(join(libraries, name, loader)));
  if (found === undefined) throw new Error(`${root} has no ${loader} in usr/lib`);
  return join(libraries, found);
}

/** Copies a program, with another path of its loader, which must not be longer. */
function copyWithLoader(from: string, to: string, loader: string): void {
  const program = readFileSync(from);
  const interpreter = interpreterOf(program);
  if (interpreter === undefined) {
    copyFileSync(from, to);
    return;
  }
  if (loader.length >= interpreter.size) throw new Error(`${loader} is too long for ${from}`);
  program.fill(0, interpreter.offset, interpreter.offset + interpreter.size);
  program.write(loader, interpreter.offset, 'latin1');
  writeFileSync(to, program, { mode: 0o755 });
}

let serial = 0;

/**
 * Makes a program of a root ready to run here with the root's own loader and libraries. It gets a
 * copy in `folder` that names that loader, for programs start themselves anew by /proc/self/exe,
 * and then a loader that was only put before their command line would be lost. Builds for better
 * processors, which a program looks for beside itself (pasta.avx2), come along. A static program
 * runs where it is.
 */
export function runnableOf(root: string, file: string, folder: string): Runnable {
  const interpreter = interpreterOf(readFileSync(file));
  if (interpreter === undefined) return { file, env: {} };
  const loader = basename(interpreter.path);
  const libraries = libraryFolder(root, loader);
  const number = serial++;
  // Short: it takes the place of /lib64/ld-linux-x86-64.so.2 in the file.
  const link = join(folder, `ld${number}`);
  symlinkSync(join(libraries, loader), link);
  const copies = join(folder, `programs-${number}`);
  mkdirSync(copies);
  const name = basename(file);
  for (const sibling of readdirSync(dirname(file))) {
    if (sibling !== name && !sibling.startsWith(`${name}.`)) continue;
    copyWithLoader(join(dirname(file), sibling), join(copies, sibling), link);
  }
  return { file: join(copies, name), env: { LD_LIBRARY_PATH: libraries } };
}
