// helpers.ts: helpers of Podman's containers that are not spliceport's.

import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { allPids } from '../running/processes.js';

/** A running helper of another program. */
export interface OtherHelper {
  readonly pid: number;
  /** Its program. */
  readonly helper: string;
  /** The container that it serves, if its monitor can be found. */
  readonly container?: { readonly id: string; readonly name?: string };
}

/** Those that this user can see. */
export function otherHelpers(): OtherHelper[] {
  const pids = allPids();
  const helpers = pids.flatMap((pid) => {
    const helper = programOf(pid);
    return helper === undefined || isSpliceport(helper) ? [] : [{ pid, helper }];
  });
  const all = new Set(helpers.map(({ pid }) => pid));
  // Podman's helper is two processes, one started by the other.
  const first = helpers.filter(({ pid }) => !all.has(parentOf(pid)));
  if (first.length === 0) return [];
  const monitors = pids.flatMap((pid) => {
    const container = monitoredBy(pid);
    return container === undefined ? [] : [{ container, pipes: pipesOf(pid) }];
  });
  return first.map(({ pid, helper }) => {
    // A container's monitor holds the other end of a pipe, so that the helper exits with it.
    const own = pipesOf(pid);
    const monitor = monitors.find(({ pipes }) => [...pipes].some((pipe) => own.has(pipe)));
    return { pid, helper, ...(monitor !== undefined && { container: monitor.container }) };
  });
}

function programOf(pid: number): string | undefined {
  const program = attempt(() => readlinkSync(`/proc/${pid}/exe`))?.replace(/ \(deleted\)$/, '');
  if (program !== undefined && basename(program) === 'rootlessport') return program;
  // A script has its interpreter there.
  const [, script = ''] = wordsOf(pid);
  return basename(script) === 'rootlessport' ? script : undefined;
}

/** Of this installation or another, which answers by its control socket. */
function isSpliceport(helper: string): boolean {
  return existsSync(join(dirname(helper), '../lib/engines/podman.cjs'));
}

/** The container of a conmon process. */
function monitoredBy(pid: number): OtherHelper['container'] {
  const words = wordsOf(pid);
  if (basename(words[0] ?? '') !== 'conmon') return undefined;
  const valueOf = (option: string): string | undefined =>
    words.includes(option) ? words[words.indexOf(option) + 1] : undefined;
  const id = valueOf('-c');
  const name = valueOf('-n');
  return id === undefined ? undefined : { id, ...(name !== undefined && { name }) };
}

function wordsOf(pid: number): string[] {
  return (attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '').split('\0');
}

function parentOf(pid: number): number {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
  return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
}

function pipesOf(pid: number): Set<string> {
  const folder = `/proc/${pid}/fd`;
  const links = (attempt(() => readdirSync(folder)) ?? []).map((fd) =>
    attempt(() => readlinkSync(`${folder}/${fd}`)),
  );
  return new Set(links.filter((link) => link?.startsWith('pipe:') === true) as string[]);
}

/** Processes come and go, and this user may not look at some. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
