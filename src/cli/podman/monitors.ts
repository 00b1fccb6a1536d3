// monitors.ts: which container a helper serves, by the monitor that Podman has started for it.

import { readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { allPids, attempt, wordsOf } from '../running/processes.js';

/** A container with a monitor. */
export interface MonitoredContainer {
  readonly id: string;
  readonly name?: string;
}

/** What people call it. */
export function labelOf({ id, name }: MonitoredContainer): string {
  return name ?? id.slice(0, 12);
}

/**
 * Looks at all processes once.
 * @returns A function from a helper's pid to its container; undefined if no monitor can be found.
 */
export function findMonitors(
  pids: readonly number[] = allPids(),
): (helper: number) => MonitoredContainer | undefined {
  const monitors = pids.flatMap((pid) => {
    const container = monitoredBy(pid);
    return container === undefined ? [] : [{ container, pipes: pipesOf(pid) }];
  });
  return (helper) => {
    // A container's monitor holds the other end of a pipe, so that the helper exits with it.
    const own = pipesOf(helper);
    return monitors.find(({ pipes }) => [...pipes].some((pipe) => own.has(pipe)))?.container;
  };
}

/** The container of a conmon process. */
function monitoredBy(pid: number): MonitoredContainer | undefined {
  const words = wordsOf(pid);
  if (basename(words[0] ?? '') !== 'conmon') return undefined;
  const valueOf = (option: string): string | undefined =>
    words.includes(option) ? words[words.indexOf(option) + 1] : undefined;
  const id = valueOf('-c');
  const name = valueOf('-n');
  return id === undefined ? undefined : { id, ...(name !== undefined && { name }) };
}

function pipesOf(pid: number): Set<string> {
  const folder = `/proc/${pid}/fd`;
  const links = (attempt(() => readdirSync(folder)) ?? []).map((fd) =>
    attempt(() => readlinkSync(`${folder}/${fd}`)),
  );
  return new Set(links.filter((link) => link?.startsWith('pipe:') === true) as string[]);
}
