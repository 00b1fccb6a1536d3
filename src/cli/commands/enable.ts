// enable.ts: `spliceport enable`, `disable` and `path`: make a container engine use spliceport.

import { CliFailure, exitCodes, usageFailure } from '../failure.js';
import { print, printJson, remark } from '../output.js';
import { readConfiguration, type PodmanUser } from '../podman/configuration.js';
import {
  assertOpen,
  ownFile,
  readOwnFile,
  removeOwnFile,
  textOfFile,
  writeOwnFile,
} from '../podman/own-file.js';
import { describe, helperFolder, linesFor, reportOf } from '../podman/report.js';

/** Options of `enable` and `disable`. */
export interface EnableOptions {
  /** For all users. */
  readonly system?: boolean;
  /** With docker: that of this user. */
  readonly rootless?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Makes a container engine use this spliceport. */
export async function enable(engine: string, options: EnableOptions): Promise<void> {
  if (engine === 'docker') (await import('../docker/rootless.js')).enableRootless(options);
  else await enablePodman(options);
}

/** Undoes it. */
export async function disable(engine: string, options: EnableOptions): Promise<void> {
  if (engine === 'docker') (await import('../docker/rootless.js')).disableRootless(options);
  else await disablePodman(options);
}

async function enablePodman(options: EnableOptions): Promise<void> {
  const user = userOf(options);
  const file = ownFile(user);
  const present = readOwnFile(file);
  const text = textOfFile(await linesFor(user));
  if (user.isSystem) assertOpen(helperFolder);
  const before = await reportOf(user);
  // Whoever lists the folder in a file of their own needs no other.
  const isDone = text === present || (before.enabled && present === undefined);
  if (options.dryRun === true) {
    if (options.json !== true && !isDone) process.stdout.write(text);
    remark(isDone ? `${file} would not change.` : `These lines would be written to ${file}.`);
    finish(options, { file, changed: false, would: !isDone }, before, user);
    return;
  }
  if (!isDone) writeOwnFile(file, text);
  const report = isDone ? before : await reportOf(user);
  if (!report.enabled) {
    const { CONTAINERS_HELPER_BINARY_DIR: first } = user.env;
    const reason = first ? 'CONTAINERS_HELPER_BINARY_DIR' : (report.setBy ?? 'another file');
    throw new CliFailure(
      exitCodes.failed,
      `${isDone ? 'there is' : 'wrote'} ${file}, but Podman still starts ${report.helper ?? 'no helper'}`,
      { hint: `${reason} sets the folders that Podman searches.` },
    );
  }
  remark(
    isDone
      ? 'Podman used this spliceport already; nothing has changed.'
      : `Wrote ${file}. Running containers keep their helper.`,
  );
  finish(options, { file, changed: !isDone, would: !isDone }, report, user);
}

async function disablePodman(options: EnableOptions): Promise<void> {
  const user = userOf(options);
  const file = ownFile(user);
  const isThere = readOwnFile(file) !== undefined;
  // A configuration that Podman cannot read is reported before anything changes.
  await readConfiguration(user);
  const isDry = options.dryRun === true;
  if (isThere && !isDry) removeOwnFile(file);
  const report = await reportOf(user);
  if (isDry) remark(isThere ? `${file} would be removed.` : `There is no ${file}.`);
  else if (isThere) remark(`Removed ${file}. Running containers keep their helper.`);
  else remark(`There is no ${file}; nothing has changed.`);
  if (report.enabled && !isDry) {
    const { CONTAINERS_HELPER_BINARY_DIR: first } = user.env;
    const reason = first ? 'CONTAINERS_HELPER_BINARY_DIR' : (report.setBy ?? 'another file');
    throw new CliFailure(exitCodes.failed, `Podman still starts ${report.helper ?? ''}`, {
      hint: `${reason} names its folder; spliceport does not change what somebody else has written.`,
    });
  }
  finish(options, { file, changed: isThere && !isDry, would: isThere }, report, user);
}

/** Prints the folder of Podman's helper, or the path of dockerd's proxy. */
export function path(engine: string): void {
  print(engine === 'docker-proxy' ? `${helperFolder}/docker-proxy` : helperFolder);
}

function finish(
  { json = false }: EnableOptions,
  {
    file,
    changed,
    would,
  }: { readonly file: string; readonly changed: boolean; readonly would: boolean },
  report: Awaited<ReturnType<typeof reportOf>>,
  user: PodmanUser,
): void {
  if (json) printJson({ ...report, file, changed, wouldChange: would });
  else for (const line of describe(report, user)) remark(line);
}

/**
 * Whose Podman is meant.
 * @throws CliFailure if that is not this user's to change
 */
function userOf({ system = false, rootless = false }: EnableOptions): PodmanUser {
  if (rootless) {
    throw usageFailure('--rootless is for docker', 'Podman is set up for rootless containers.');
  }
  const isRoot = process.getuid?.() === 0;
  if (system && !isRoot) {
    throw new CliFailure(exitCodes.notAllowed, 'only root can change Podman for all users', {
      hint: `sudo spliceport ${process.argv.slice(2).join(' ')}`,
    });
  }
  if (isRoot && !system) {
    throw new CliFailure(exitCodes.usage, 'root’s own Podman starts no helper', {
      hint: 'Run this as the user who runs the containers, or with --system for all users.',
    });
  }
  return { env: process.env, isSystem: system };
}
