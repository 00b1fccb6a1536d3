// forwarder-log.ts: the log of a forwarder that runs by itself. In the helper a bundle of its own, loaded where the settings
// ask for a log.

import type { Forward, Forwarder, ForwarderOptions } from '../index.js';
import { Journal } from './journal.js';
import { makeLog } from './log.js';
import { describeEnded, tellsOfSessions } from './session-lines.js';
import { asText, LogFile, standardError } from './sinks.js';
import { pathOf, Troubles } from './troubles.js';
import type { LineSink, Log } from './types.js';

const JOURNAL_SOCKET = '/run/systemd/journal/socket';
const DEFAULT_SUMMARY_INTERVAL_MS = 60_000;
const MAX_LOOK_INTERVAL_MS = 1_000;

/** What is logged, how, and where to. */
export interface ForwarderLogOptions {
  readonly level?: string;
  /** `stderr`, `journal`, or the path of a file. */
  readonly destination?: string;
  readonly format?: 'json' | 'text';
  readonly summaryIntervalMs?: number;
  /** Whether there is a line for each session that has ended. Default: false. */
  readonly sessions?: boolean;
  readonly journalSocket?: string;
  /** Facts that every line has. */
  readonly facts: object;
}

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
  /** Tells from now on of forwards that come and go, and of what goes wrong. */
  watch(forwarder: Forwarder): void;
}

/** Opens a log: on standard error, and in the place that was asked for. */
export function openForwarderLog(options: ForwarderLogOptions): ForwarderLog {
  const { level = 'info', format = 'json', facts } = options;
  const styled = (sink: LineSink): LineSink => (format === 'text' ? asText(sink) : sink);
  const sinks = new Set([styled(standardError)]);
  const [first] = sinks;
  const opened = openSink(options, styled);
  if (opened.sink !== undefined) sinks.add(opened.sink);
  const sink: LineSink = {
    write: (line) => {
      for (const each of sinks) each.write(line);
    },
  };
  const log = makeLog({ level, facts, sink });
  return {
    debug: (own, message) => log.debug(own, message),
    info: (own, message) => log.info(own, message),
    warn: (own, message) => log.warn(own, message),
    error: (own, message) => log.error(own, message),
    problem: opened.problem,
    rawFd: opened.sink?.rawFd,
    // Standard error has none of them: it ends when clients begin to come.
    onSessionsEnded:
      opened.sink !== undefined && tellsOfSessions(options)
        ? (ended) => {
            for (const session of ended)
              log.info({ event: 'session', ...session }, describeEnded(session));
          }
        : undefined,
    leaveStandardError: () => {
      if (first !== undefined) sinks.delete(first);
    },
    watch: (forwarder) => {
      if (sinks.size > 0 && level !== 'silent')
        new Watch(forwarder, log, options.summaryIntervalMs ?? DEFAULT_SUMMARY_INTERVAL_MS);
    },
  };
}

function openSink(
  { destination = 'stderr', journalSocket = JOURNAL_SOCKET }: ForwarderLogOptions,
  styled: (sink: LineSink) => LineSink,
): { readonly sink?: LineSink; readonly problem: string | undefined } {
  if (destination === 'stderr') return { problem: undefined };
  try {
    const isJournal = destination === 'journal';
    // The journal takes fields, whatever the format of lines is.
    const sink = isJournal ? new Journal(journalSocket) : styled(new LogFile(destination));
    return { sink, problem: undefined };
  } catch (error) {
    return { problem: `cannot log to ${destination}: ${(error as Error).message}` };
  }
}

/** Looks at a forwarder from time to time. It does not keep the process alive. */
class Watch {
  readonly #forwarder: Forwarder;
  readonly #log: Log;
  readonly #troubles: Troubles;
  #known = new Map<number, Forward>();

  constructor(forwarder: Forwarder, log: Log, summaryIntervalMs: number) {
    this.#forwarder = forwarder;
    this.#log = log;
    this.#troubles = new Troubles(forwarder, summaryIntervalMs);
    this.#known = byId(forwarder.list());
    const lookIntervalMs = Math.min(MAX_LOOK_INTERVAL_MS, summaryIntervalMs);
    setInterval(() => {
      this.#lookForChanges();
      this.#lookForTrouble();
    }, lookIntervalMs).unref();
  }

  #lookForChanges(): void {
    // A forward is a frozen snapshot: another object is another target.
    const now = byId(this.#forwarder.list());
    for (const [id, forward] of this.#known) {
      if (!now.has(id)) this.#tell('removed', forward);
    }
    for (const [id, forward] of now) {
      const before = this.#known.get(id);
      if (before === undefined) this.#tell('added', forward);
      else if (before !== forward) this.#tell('retargeted', forward);
    }
    this.#known = now;
  }

  #lookForTrouble(): void {
    const trouble = this.#troubles.due(performance.now());
    if (trouble === undefined) return;
    this.#log.warn({ event: 'troubles', ...trouble.facts }, trouble.message);
  }

  #tell(event: 'added' | 'removed' | 'retargeted', forward: Forward): void {
    this.#log.info({ event, forward }, `${event} ${pathOf(forward)}`);
  }
}

function byId(forwards: readonly Forward[]): Map<number, Forward> {
  return new Map(forwards.map((forward) => [forward.id, forward]));
}
