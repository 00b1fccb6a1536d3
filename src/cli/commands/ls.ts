// ls.ts: `spliceport ls`.

import { chosenFolder } from '../../control/folder.js';
import type { Forward, ForwarderInfo } from '../../control/control-types.js';
import { ownHelpers } from '../podman/helpers.js';
import { labelOf } from '../podman/monitors.js';
import { containerNames, idsIn, type ContainerNames } from '../running/container-names.js';
import { print, printJson, remark } from '../output.js';
import {
  findRunning,
  forwardId,
  placeOf,
  remarkSilent,
  type Running,
} from '../running/forwarders.js';
import { tableLines } from '../text/table.js';
import { formatDuration, formatHost } from '../text/units.js';

/** Options of `ls`. */
export interface ListOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Lists forwarders and their forwards. */
export async function list({ json = false, quiet = false }: ListOptions): Promise<void> {
  const running = await findAll();
  const listed = await Promise.all(
    byContainer(running).map(async (forwarder) => ({
      forwarder,
      forwards: await forwarder.client.forwards(),
    })),
  );
  if (quiet) {
    for (const { forwarder, forwards } of listed) {
      if (forwards.length === 0) print(forwarder.id);
      for (const { id } of forwards) print(forwardId(forwarder, id));
    }
    return;
  }
  const names = await containerNames(idsIn(running));
  if (json) {
    printJson(
      listed.map(({ forwarder, forwards }) => ({
        id: forwarder.id,
        socketPath: forwarder.socketPath,
        ...namedInfo(forwarder.info, names),
        forwards: forwards.map((forward) => ({ ...forward, id: forwardId(forwarder, forward.id) })),
      })),
    );
    return;
  }
  if (listed.length === 0) {
    remark('No forwarder of this user is running.');
  } else {
    for (const line of tableLines(
      columns,
      listed.flatMap((each) => rowsOf(each, names)),
    )) {
      print(line);
    }
  }
  for (const { forwarder, forwards } of listed) {
    const warnings = forwards.flatMap(({ warning }) => warning ?? []);
    for (const text of new Set([...forwarder.info.notices, ...warnings])) {
      remark(`${forwarder.id}: ${text}`);
    }
  }
}

/**
 * Those of one container together, in the place of the first: dockerd has a process for each port.
 */
function byContainer(running: readonly Running[]): Running[] {
  const groups = new Map<string, Running[]>();
  for (const forwarder of running) {
    const key = forwarder.info.container?.id ?? forwarder.id;
    groups.set(key, [...(groups.get(key) ?? []), forwarder]);
  }
  return [...groups.values()].flat();
}

/** Every forwarder that answers; about the others there is a line each. */
async function findAll(): Promise<Running[]> {
  const known = new Set<string>();
  const running = await findRunning((id, message) => {
    known.add(id);
    remarkSilent(id, message);
  });
  // Whoever names a folder asks for those in it.
  if (chosenFolder() !== undefined) return running;
  for (const { id } of running) known.add(id);
  for (const { pid, container } of ownHelpers()) {
    if (known.has(String(pid))) continue;
    const whose = container === undefined ? '' : ` of container ${labelOf(container)}`;
    remarkSilent(`${pid}${whose}`, 'it has no control socket in the usual folders');
  }
  return running;
}

const columns = ['ID', 'PROTOCOL', 'HOST', 'TARGET', 'IN', 'PROGRAM', 'UP'].map((title) => ({
  title,
}));

/** What a forwarder reports about itself, with the name of its container. */
function namedInfo({ container, ...info }: ForwarderInfo, names: ContainerNames): object {
  const name = container?.name ?? names.get(container?.id ?? '');
  return {
    ...info,
    ...(container !== undefined && { container: { ...container, ...(name && { name }) } }),
  };
}

function rowsOf(
  listed: { readonly forwarder: Running; readonly forwards: readonly Forward[] },
  names: ContainerNames,
): string[][] {
  const { forwarder, forwards } = listed;
  const { program, uptimeMs, draining } = forwarder.info;
  const up = `${formatDuration(uptimeMs)}${draining ? ' (draining)' : ''}`;
  if (forwards.length === 0) return [[forwarder.id, '-', '-', '-', '-', program, up]];
  return forwards.map((forward) => [
    forwardId(forwarder, forward.id),
    forward.protocol,
    formatHost(forward.host),
    formatHost(forward.container),
    placeOf(forwarder, forward, names),
    program,
    up,
  ]);
}
