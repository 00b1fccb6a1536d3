// podman.ts: `spliceport podman`: makes rootless Podman use spliceport, or shows how.

import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliFailure, exitCodes } from '../failure.js';
import {
  dropIn,
  helperOf,
  helperSearch,
  systemDropIn,
  type PodmanUser,
} from '../running/helper-search.js';
import { print, printJson, remark } from '../output.js';
import type { PodmanOptions } from './podman-actions.js';

/** The folder of this installation's helper. */
const folder = fileURLToPath(new URL('../../../libexec', import.meta.url));

/** A file with this line was written by spliceport, and may be overwritten and removed. */
const MARK =
  '# Written by "spliceport podman enable"; "spliceport podman disable" removes this file.';

/** Whether Podman uses spliceport, and how to make it. */
export interface PodmanReport {
  /** Where the helper is. */
  readonly folder: string;
  /** The helper that Podman starts; null if it finds none. */
  readonly helper: string | null;
  /** Whether that is spliceport's. */
  readonly enabled: boolean;
  /** The file of Podman's configuration that sets the folders; null if none does. */
  readonly setBy: string | null;
  /** Where the lines belong. */
  readonly files: { readonly user: string | null; readonly allUsers: string };
  readonly lines: string;
}

/** Runs the action. */
export function podman(action: string, { json = false }: PodmanOptions): void {
  const user: PodmanUser = { env: process.env, isRoot: process.getuid?.() === 0 };
  if (action === 'enable') enable(user);
  else if (action === 'disable') disable(user);
  const report = reportOf(user);
  if (json) printJson(report);
  else if (action === 'path') print(folder);
  else if (action === 'show') show(report, user);
  else tell(report, user);
}

function reportOf(user: PodmanUser): PodmanReport {
  const own = dropIn(user);
  const search = helperSearch(user);
  const helper = helperOf(search, user);
  return {
    folder,
    helper: helper ?? null,
    enabled:
      helper !== undefined && realpathSync(helper) === realpathSync(`${folder}/rootlessport`),
    setBy: search.file ?? null,
    files: { user: user.isRoot ? null : (own ?? null), allUsers: systemDropIn },
    lines: linesFor(user),
  };
}

/** The list replaces the present one, so it ends with that. */
function linesFor(user: PodmanUser): string {
  const others = helperSearch(user, dropIn(user)).folders.filter((each) => each !== folder);
  const list = [folder, ...others].map((each) => `  ${JSON.stringify(each)},\n`).join('');
  return `[engine]\nhelper_binaries_dir = [\n${list}]\n`;
}

function show(report: PodmanReport, user: PodmanUser): void {
  process.stdout.write(report.lines);
  remark('');
  tell(report, user);
  if (report.enabled) return;
  const { user: own, allUsers } = report.files;
  if (own !== null) {
    remark(`For this user, the lines belong in ${own}; "spliceport podman enable" writes them.`);
  }
  remark(
    `For all users, they belong in ${allUsers}; root’s "spliceport podman enable" writes them.`,
  );
}

function tell({ helper, enabled, setBy }: PodmanReport, { isRoot }: PodmanUser): void {
  const whose = isRoot ? 'Rootless Podman' : 'Podman of this user';
  if (helper === null) remark(`${whose} finds no helper.`);
  else if (enabled) remark(`${whose} starts ${helper}, which belongs to this spliceport.`);
  else remark(`${whose} starts ${helper}, which does not belong to this spliceport.`);
  if (setBy !== null) remark(`Its helper folders are set by ${setBy}.`);
  if (isRoot) remark('Users whose own files set other folders use those.');
}

function enable(user: PodmanUser): void {
  const file = ownFile(user);
  assertOurs(file);
  if (user.isRoot) assertOpen(folder);
  // Podman fails for users who cannot read a file that is for all users.
  process.umask(0o022);
  mkdirSync(dirname(file), { recursive: true });
  // Podman may read the file at any time, and rejects one with half a list.
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, `${MARK}\n${linesFor(user)}`);
  renameSync(partial, file);
  const { enabled, helper, setBy } = reportOf(user);
  if (!enabled) {
    const { CONTAINERS_HELPER_BINARY_DIR: first } = user.env;
    const reason = first ? 'CONTAINERS_HELPER_BINARY_DIR' : (setBy ?? 'another file');
    throw new CliFailure(
      exitCodes.failed,
      `wrote ${file}, but Podman still starts ${helper ?? 'no helper'}`,
      { hint: `${reason} sets the folders that Podman searches.` },
    );
  }
  remark(`Wrote ${file}. Running containers keep their helper.`);
  remark(
    'New containers use spliceport on a bridge network: podman run --network bridge -p 8080:80 IMAGE',
  );
}

function disable(user: PodmanUser): void {
  const file = ownFile(user);
  assertOurs(file);
  rmSync(file, { force: true });
  remark(`There is no ${file} any more. Containers that run keep the helper that they have.`);
}

function ownFile(user: PodmanUser): string {
  const file = dropIn(user);
  if (file !== undefined) return file;
  throw new CliFailure(exitCodes.failed, 'this user has no home directory: HOME is not set');
}

/** Other users cannot use an installation in root's own folders. */
function assertOpen(path: string): void {
  const closed = pathsTo(path).find((each) => (statSync(each).mode & 0o001) === 0);
  if (closed === undefined) return;
  throw new CliFailure(
    exitCodes.failed,
    `other users cannot use ${path}: ${closed} is closed to them`,
    {
      hint: 'Install spliceport where all users can read it, such as in /usr/local.',
    },
  );
}

function pathsTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...pathsTo(parent), path];
}

/** A file that was written by hand is not removed. */
function assertOurs(file: string): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (text.startsWith(MARK)) return;
  throw new CliFailure(exitCodes.failed, `${file} was not written by "spliceport podman enable"`, {
    hint: 'Change it by hand, or remove it first.',
  });
}
