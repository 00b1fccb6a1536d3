// rootless.ts: `spliceport enable docker --rootless` and its undoing.

import type { EnableOptions } from '../commands/enable.js';
import { usageFailure } from '../failure.js';
import { printJson, remark } from '../output.js';
import { removeOwnFile, writeOwnFile } from '../podman/own-file.js';
import { unitFiles } from './unit-files.js';

const COMMAND = 'enable docker --rootless';
const RESTART =
  'It takes effect with: systemctl --user daemon-reload && systemctl --user restart docker';

/** Makes rootless Docker use this spliceport, from its next start on. */
export function enableRootless(options: EnableOptions): void {
  assertRootless(options);
  const { dryRun = false, json = false } = options;
  const files = unitFiles(process.env);
  const changed = files.filter(({ text, present }) => text !== present);
  for (const { path, text } of changed) {
    if (!dryRun) writeOwnFile(path, text, COMMAND);
    else if (!json) process.stdout.write(`# ${path}\n${text}\n`);
    remark(dryRun ? `These lines would be written to ${path}.` : `Wrote ${path}.`);
  }
  if (changed.length === 0) remark('Rootless Docker was set up already; nothing has changed.');
  else if (!dryRun) remark(RESTART);
  if (json) printChange(files, changed.length > 0, dryRun);
}

/** Undoes it. */
export function disableRootless(options: EnableOptions): void {
  assertRootless(options);
  const { dryRun = false, json = false } = options;
  const files = unitFiles(process.env);
  const present = files.filter((file) => file.present !== undefined);
  for (const { path } of present) {
    if (!dryRun) removeOwnFile(path);
    remark(dryRun ? `${path} would be removed.` : `Removed ${path}.`);
  }
  if (present.length === 0) remark('Rootless Docker was not set up; nothing has changed.');
  else if (!dryRun) remark(RESTART);
  if (json) printChange(files, present.length > 0, dryRun);
}

function printChange(
  files: ReturnType<typeof unitFiles>,
  wouldChange: boolean,
  isDry: boolean,
): void {
  const paths = files.map(({ path }) => path);
  printJson({ files: paths, changed: wouldChange && !isDry, wouldChange });
}

function assertRootless({ rootless = false, system = false }: EnableOptions): void {
  if (!rootless) {
    throw usageFailure(
      'only rootless Docker can be set up',
      'Add --rootless, as the user of Docker.',
    );
  }
  if (system) throw usageFailure('rootless Docker is set up by each user', 'Leave out --system.');
  if (process.getuid?.() === 0) {
    throw usageFailure('root has no rootless Docker', 'Run this as the user who runs Docker.');
  }
}
