// forwarder-log.ts: the log of a forwarder that runs by itself. In the helper a bundle of its own,
// loaded where the settings ask for a log.

import type { ForwarderOptions } from '../index.js';
import type { ForwarderOperations } from '../operations.js';
import { followChanges } from './changes.js';
import { Journal } from './journal.js';
import { makeLog } from './log.js';
import { describeEnded, tellsOfSessions } from './session-lines.js';
import { asLines, LogFile, standardError } from './sinks.js';
import { pathOf, Troubles } from './troubles.js';
import { logFields } from './log-fields.js';
import type { Facts, LineSink, Log, LogFormat, LogSettings, RecordSink } from './log-types.js';

const MAX_LOOK_INTERVAL_MS = 1_000;

/** What a watch tells first: what has gone wrong until now is somebody else's to tell, or not. */
export type WatchStart = 'the start' | 'from now on';

/** A log, and what it could not do. */
export interface ForwarderLog extends Log {
  /** Why there is no log in the place that was asked for. */
  readonly problem: string | undefined;
  /** A descriptor for what the runtime says when it aborts; undefined on standard error alone. */
  readonly rawFd: number | undefined;
  /** Logs sessions that have ended; undefined where no line for them would be kept. */
  readonly onSessionsEnded: ForwarderOptions['onSessionsEnded'];
  /** Ends the lines on standard error; those elsewhere go on. */
  leaveStandardError(): void;
  /** Whether there are lines when those on standard error have ended. */
  readonly staysOpen: boolean;
  /** Tells of forwards that come and go, and of what goes wrong, until the watch is closed. */
  watch(forwarder: ForwarderOperations, from?: WatchStart): { close(): void };
}

/**
 * Opens a log: on standard error, and in the place that was asked for.
 * @param facts - Facts of every record.
 * @param errorOutput - Standard error of whoever has the forwards. Default: this process's.
 */
export function openForwarderLog(
  settings: LogSettings,
  facts: Facts,
  errorOutput: LineSink = standardError,
): ForwarderLog {
  const { level = logFields.level.default, format = 'json' } = settings;
  const first = asLines(errorOutput, format);
  const sinks = new Set([first]);
  const opened = openSink(settings, format);
  if (opened.sink !== undefined) sinks.add(opened.sink);
  const sink: RecordSink = {
    write: (record) => {
      for (const each of sinks) each.write(record);
    },
    close: () => {
      for (const each of sinks) each.close?.();
    },
  };
  const log = makeLog({ level, facts, sink });
  return {
    ...log,
    problem: opened.problem,
    rawFd: opened.sink?.rawFd,
    // Standard error has none of them: it ends when clients begin to come.
    onSessionsEnded:
      opened.sink !== undefined && tellsOfSessions(settings)
        ? (ended) => {
            for (const session of ended) {
              log.info({ event: 'session', ...session }, describeEnded(session));
            }
          }
        : undefined,
    leaveStandardError: () => sinks.delete(first),
    staysOpen: opened.sink !== undefined && level !== 'silent',
    watch: (forwarder, from = 'the start') => {
      if (sinks.size === 0 || level === 'silent') return { close: () => undefined };
      const { summaryIntervalMs = logFields.summaryIntervalMs.default } = settings;
      return new Watch(forwarder, log, summaryIntervalMs, from);
    },
  };
}

function openSink(
  {
    destination = logFields.destination.default,
    journalSocket = logFields.journalSocket.default,
  }: LogSettings,
  format: LogFormat,
): { readonly sink?: RecordSink; readonly problem: string | undefined } {
  if (destination === 'stderr') return { problem: undefined };
  try {
    // The journal takes fields, whatever the format of lines is.
    const sink =
      destination === 'journal'
        ? new Journal(journalSocket)
        : asLines(new LogFile(destination), format);
    return { sink, problem: undefined };
  } catch (error) {
    return { problem: `cannot log to ${destination}: ${(error as Error).message}` };
  }
}

/**
 * Logs what happens to a forwarder. It does not keep the process alive. Changes are events. What
 * goes wrong is read from the counters: the event `failed` reports only the first failure of a
 * forward, whereas the log has the number of each kind within an interval.
 */
class Watch {
  readonly #log: Log;
  readonly #troubles: Troubles;
  readonly #timer: NodeJS.Timeout;
  readonly #leave: () => void;
  #isLooking = false;

  constructor(
    forwarder: ForwarderOperations,
    log: Log,
    summaryIntervalMs: number,
    from: WatchStart,
  ) {
    this.#log = log;
    this.#troubles = new Troubles(forwarder, summaryIntervalMs);
    if (from === 'from now on') void this.#look('skip');
    this.#leave = followChanges(forwarder, (event, forward) =>
      log.info({ event, forward }, `${event} ${pathOf(forward)}`),
    );
    const lookIntervalMs = Math.min(MAX_LOOK_INTERVAL_MS, summaryIntervalMs);
    this.#timer = setInterval(() => void this.#look(), lookIntervalMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#leave();
  }

  /** If the counters cannot be had, the next look has them. */
  async #look(found: 'skip' | 'tell' = 'tell'): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const trouble = await (found === 'skip'
        ? this.#troubles.rest()
        : this.#troubles.due(performance.now()));
      if (trouble !== undefined && found === 'tell') {
        this.#log.warn({ event: 'troubles', ...trouble.facts }, trouble.message);
      }
    } catch {
      return;
    } finally {
      this.#isLooking = false;
    }
  }
}
