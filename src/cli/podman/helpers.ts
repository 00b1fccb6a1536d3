// helpers.ts: the helpers of Podman's containers that run, spliceport's and others, by their
// processes.

import { readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { allPids, attempt, executableOf, parentOf, wordsOf } from '../running/processes.js';
import { findMonitors, type MonitoredContainer } from './monitors.js';

/** A running helper. */
export interface Helper {
  readonly pid: number;
  /** Its program. */
  readonly helper: string;
  /** The container that it serves, if its monitor can be found. */
  readonly container?: MonitoredContainer;
}

/** Those of other programs that this user can see. */
export function otherHelpers(): Helper[] {
  return findHelpers(({ helper }) => !isSpliceport(helper));
}

/** Those of spliceport that this user has started, whether they answer or not. */
export function ownHelpers(): Helper[] {
  return findHelpers(({ pid, helper }) => isSpliceport(helper) && isOfThisUser(pid));
}

function findHelpers(isWanted: (helper: Helper) => boolean): Helper[] {
  const pids = allPids();
  const helpers = pids.flatMap((pid) => {
    const helper = helperIn(pid);
    return helper !== undefined && isWanted({ pid, helper }) ? [{ pid, helper }] : [];
  });
  const all = new Set(helpers.map(({ pid }) => pid));
  // Podman's own helper is two processes, one started by the other.
  const first = helpers.filter(({ pid }) => !all.has(parentOf(pid) ?? 0));
  if (first.length === 0) return [];
  const containerOf = findMonitors(pids);
  return first.map((each) => {
    const container = containerOf(each.pid);
    return { ...each, ...(container !== undefined && { container }) };
  });
}

/** The program of a process that is a helper. */
export function helperIn(pid: number): string | undefined {
  const program = executableOf(pid) ?? '';
  if (basename(program) === 'rootlessport') return program;
  // A script has its interpreter there.
  const args = wordsOf(pid).slice(1);
  const script = args.find((word) => !word.startsWith('-')) ?? '';
  const isHelper = basename(program).startsWith('node')
    ? isOwnProcess(script)
    : script === args[0] && basename(script) === 'rootlessport';
  return isHelper ? script : undefined;
}

/**
 * Of this installation or another, which may have been removed meanwhile. The resident is neither:
 * it serves no container by itself.
 */
function isSpliceport(helper: string): boolean {
  return isOwnProcess(helper) || /\/libexec\/(own-process\/)?rootlessport$/.test(helper);
}

/** Node with the whole helper inside. */
function isOwnProcess(file: string): boolean {
  return file.endsWith('/lib/engines/podman.cjs');
}

/**
 * Root sees everyone's; and pids of other namespaces are not those that helpers call themselves by.
 */
function isOfThisUser(pid: number): boolean {
  const namespace = attempt(() => readlinkSync(`/proc/${pid}/ns/pid`));
  return (
    attempt(() => statSync(`/proc/${pid}`).uid) === process.geteuid?.() &&
    namespace === readlinkSync('/proc/self/ns/pid')
  );
}
