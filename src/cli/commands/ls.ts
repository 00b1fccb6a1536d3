// ls.ts: `spliceport ls`.

import type { Forward, ForwarderInfo } from '../../control/types.js';
import { containerNames, idsIn, type ContainerNames } from '../running/container-names.js';
import { print, printJson, remark } from '../output.js';
import { findRunning, forwardId, placeOf, type Running } from '../running/forwarders.js';
import { tableLines } from '../text/table.js';
import { formatDuration, formatHost } from '../text/units.js';

/** Options of `ls`. */
export interface ListOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Lists forwarders and their forwards. */
export async function list({ json = false, quiet = false }: ListOptions): Promise<void> {
  const running = await findRunning();
  const listed = await Promise.all(
    running.map(async (forwarder) => ({ forwarder, forwards: await forwarder.client.forwards() })),
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

const columns = ['ID', 'PROTOCOL', 'HOST', 'TARGET', 'IN', 'PROGRAM', 'UP'].map((title) => ({
  title,
}));

/** What a forwarder reports about itself, with the name of its container. */
function namedInfo({ container, ...info }: ForwarderInfo, names: ContainerNames): object {
  const name = names.get(container?.id ?? '');
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
