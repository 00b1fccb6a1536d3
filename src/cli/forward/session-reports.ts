// session-reports.ts: reports ended sessions, no faster than the reader reads.

import type { EndedSession, ForwarderOptions } from '../../index.js';
import type { Report } from './reports.js';

/**
 * Reports ends of sessions, and pauses while the stream is full. Meanwhile they wait in the
 * forwarder's queue, which counts those that it has no room for.
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
