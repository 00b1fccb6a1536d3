// session-reports.ts: reports sessions that have ended, no faster than somebody reads.

import type { EndedSession, ForwarderOptions } from '../../index.js';
import type { Report } from './reports.js';

/**
 * Takes ends of sessions, and takes no more while the stream that reports go to is held up: what comes then waits in the
 * queue of the forwarder, which counts what it has no room for.
 */
export function sessionReports(
  report: Report,
  stream: NodeJS.WriteStream,
): Required<ForwarderOptions>['onSessionsEnded'] {
  return async (ended: readonly EndedSession[]) => {
    for (const session of ended) report({ event: 'session', ...session });
    if (!stream.writableNeedDrain) return;
    await new Promise<void>((resume) => {
      const end = (): void => {
        stream.off('drain', end).off('close', end);
        resume();
      };
      stream.on('drain', end).on('close', end);
    });
  };
}
