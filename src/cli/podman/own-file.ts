// own-file.ts: the file of Podman's configuration that `spliceport enable podman` writes.

import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CliFailure, exitCodes } from '../failure.js';
import { dropIn, type PodmanUser } from './configuration.js';

/** The first line of what spliceport writes. */
const MARK =
  '# Written by "spliceport enable podman"; "spliceport disable podman" removes this file.';

/** Such a file with nothing that somebody has added. */
const UNTOUCHED = /^\[engine\]\nhelper_binaries_dir = \[\n(?: {2}".*",\n)+\]\n$/;

const CLOSED = ['EACCES', 'EPERM', 'EROFS'];

/** The file with these lines. */
export function textOfFile(lines: string): string {
  return `${MARK}\n${lines}`;
}

/**
 * Where the file is.
 * @throws CliFailure for a user without a home
 */
export function ownFile(user: PodmanUser): string {
  const file = dropIn(user);
  if (file !== undefined) return file;
  throw new CliFailure(exitCodes.failed, 'this user has no home directory: HOME is not set');
}

/**
 * What is in the file; undefined if there is none.
 * @throws CliFailure if somebody else has written it, or has changed it
 */
export function readOwnFile(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const isMarked = text.startsWith(`${MARK}\n`);
  if (isMarked && UNTOUCHED.test(text.slice(MARK.length + 1))) return text;
  const what = isMarked ? 'was changed by hand' : 'was not written by "spliceport enable podman"';
  throw new CliFailure(exitCodes.failed, `${file} ${what}`, {
    hint: 'spliceport has changed nothing. Change the file by hand, or move it elsewhere first.',
  });
}

/**
 * Writes the file, which any user may read.
 * @throws CliFailure
 */
export function writeOwnFile(file: string, text: string, command = 'enable podman'): void {
  // Podman fails for users who cannot read a file that is for all users.
  process.umask(0o022);
  // Podman may read the file at any time, and rejects one with half a list.
  const partial = `${file}.${process.pid}`;
  try {
    makeFolder(dirname(file));
    writeFileSync(partial, text);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw cannotChange(
      file,
      error as NodeJS.ErrnoException,
      `"spliceport ${command} --dry-run" prints the lines; put them in place by hand.`,
    );
  }
}

/**
 * Removes the file.
 * @throws CliFailure
 */
export function removeOwnFile(file: string): void {
  try {
    rmSync(file);
  } catch (error) {
    throw cannotChange(file, error as NodeJS.ErrnoException);
  }
}

function cannotChange(
  file: string,
  { code = '', message }: NodeJS.ErrnoException,
  hint?: string,
): CliFailure {
  const reason = code === 'EROFS' ? 'the file system is read-only' : message;
  const exitCode = CLOSED.includes(code) ? exitCodes.notAllowed : exitCodes.failed;
  return new CliFailure(exitCode, `cannot change ${file}: ${reason}`, { hint, code });
}

/**
 * Other users cannot use an installation in root's own folders.
 * @throws CliFailure
 */
export function assertOpen(path: string): void {
  const closed = pathsTo(path).find((each) => (statSync(each).mode & 0o001) === 0);
  if (closed === undefined) return;
  throw new CliFailure(
    exitCodes.failed,
    `other users cannot use ${path}: ${closed} is closed to them`,
    { hint: 'Install spliceport where all users can read it, such as in /usr/local.' },
  );
}

/** One by one: Node's own way reports a read-only file system as a folder that does not exist. */
function makeFolder(path: string): void {
  for (const folder of pathsTo(path)) if (!existsSync(folder)) mkdirSync(folder);
}

function pathsTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...pathsTo(parent), path];
}
