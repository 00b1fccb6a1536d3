// sessions.ts: `spliceport sessions`.

import type { Session } from '../../control/control-types.js';
import { print, printJson } from '../output.js';
import { findRunning, forwardId, select, type Selection } from '../running/forwarders.js';
import { tableLines, type Column } from '../text/table.js';
import { formatBytes, formatDuration, formatHost } from '../text/units.js';

/** A session, and the id of its forward. */
type Listed = Session & { readonly forward: string };

const columns: readonly Column[] = [
  { title: 'FORWARD' },
  { title: 'PROTOCOL' },
  { title: 'CLIENT' },
  { title: 'TARGET' },
  { title: 'SERVER SEES' },
  { title: 'STATE' },
  { title: 'AGE', align: 'right' },
  { title: 'TO CONTAINER', align: 'right' },
  { title: 'TO HOST', align: 'right' },
];

/** Lists sessions and flows: all, or those of the given forwarders and forwards. */
export async function listSessions(
  ids: readonly string[],
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  const selected = select(await findRunning(), ids);
  const sessions = (await Promise.all(selected.map(sessionsOf))).flat();
  if (json) {
    printJson(sessions);
    return;
  }
  const rows = sessions.map((session) => [
    session.forward,
    session.protocol,
    formatHost(session.client),
    formatHost(session.target),
    session.source === undefined ? '-' : formatHost(session.source),
    session.state,
    formatDuration(session.ageMs),
    formatBytes(session.bytesToContainer),
    formatBytes(session.bytesToHost),
  ]);
  for (const line of tableLines(columns, rows)) print(line);
}

async function sessionsOf({ forwarder, numbers }: Selection): Promise<Listed[]> {
  const sessions = await forwarder.client.sessions();
  return sessions
    .filter(({ forwardId: number }) => numbers?.has(number) ?? true)
    .map((session) => ({ forward: forwardId(forwarder, session.forwardId), ...session }));
}
