// session-lines.ts: what a log says of a session that has ended.

import type { EndedSession } from '../index.js';
import { pathOf } from './troubles.js';
import type { LogSettings } from './log-types.js';

/** Whether a log has lines for sessions: where they are asked for, and its level has them. */
export function tellsOfSessions({ sessions = false, level = 'info' }: LogSettings): boolean {
  return sessions && (level === 'info' || level === 'debug');
}

/**
 * `tcp 10.0.0.5:51234 -> 10.0.2.100:80: fin, 78 bytes to the container, 1256 to the host, 3.4 ms`
 */
export function describeEnded(ended: EndedSession): string {
  const { protocol, client, target, ending, error, durationMs } = ended;
  return [
    `${pathOf({ protocol, host: client, container: target })}: ${ending}${error === undefined ? '' : ` (${error})`}`,
    `${ended.bytesToContainer} bytes to the container`,
    `${ended.bytesToHost} to the host`,
    `${durationMs.toFixed(1)} ms`,
  ].join(', ');
}
