// settings.ts: what the user's settings file says for this container. Of a wrong file its gates hold, which are the
// settings that keep clients out, and nothing else; the helper says so. Where a gate cannot be had, no port opens.
// Without a file nothing is loaded.

import type { ForwarderOptions, ForwardSpec } from '../../index.js';
import type { ForwarderLog } from '../../log/forwarder-log.js';
import type { Facts, LogSettings } from '../../log/types.js';
import { findSettingsFile } from '../../settings/find.js';
import type { UnixSocketType } from '../../system.js';
import { oneLine } from './one-line.js';
import { writeAll } from './streams.js';

/** More than a person reads. */
const MAX_NOTICES = 100;

type SpecRule = (specs: readonly ForwardSpec[]) => ForwardSpec[];

/** What holds for this helper. */
export interface HelperSettings {
  readonly options: ForwarderOptions;
  readonly controlSocket: boolean;
  /** Undefined: the one that fits the caller. */
  readonly reloadSocket: UnixSocketType | undefined;
  readonly log: ForwarderLog | undefined;
  /** What is wrong, a sentence each; it may grow. */
  readonly notices: readonly string[];
  /** Gives forwards their settings; undefined where they have none. It throws where a gate cannot be had. */
  readonly specsFor: SpecRule | undefined;
  /** Gives them no more than their gates. */
  readonly gatesFor: SpecRule | undefined;
  /** Tells the user of something that is wrong. */
  tell(problem: string, event?: string): void;
}

/** Looks for the file and reads it. */
export async function helperSettings(containerId: string): Promise<HelperSettings> {
  const path = findSettingsFile();
  const notices: string[] = [];
  if (path === undefined) return withoutFile(notices);
  try {
    return await read(path, containerId, notices);
  } catch (error) {
    throw new Error(`settings file ${path}: ${String(error)}`, { cause: error });
  }
}

function withoutFile(notices: string[]): HelperSettings {
  return {
    options: {},
    controlSocket: true,
    reloadSocket: undefined,
    log: undefined,
    notices,
    specsFor: undefined,
    gatesFor: undefined,
    tell: (problem, event) => tell(notices, undefined, problem, event),
  };
}

async function read(path: string, containerId: string, notices: string[]): Promise<HelperSettings> {
  const { forwarderSettings, loadQuickly, withSettings } = await import('../../settings/quick.js');
  const { file, gates, problems } = await loadQuickly(path);
  const [first] = problems;
  const gatesFor: SpecRule = (specs) => {
    if (gates === undefined) throw closedFor(first);
    return withSettings(gates, specs, containerId);
  };
  if (first !== undefined) {
    // Where no port opens, the refusal says what is wrong.
    if (gates === undefined) return { ...withoutFile(notices), specsFor: gatesFor, gatesFor };
    for (const problem of problems) tell(notices, undefined, `settings file ${problem}`);
    return { ...withoutFile(notices), specsFor: gatesFor, gatesFor };
  }
  const own = forwarderSettings(file, containerId);
  const { controlSocket = true, log: logSettings, reloadSocket, ...options } = own;
  const log = logSettings && (await openLog(logSettings, factsOf(containerId)));
  if (log?.problem !== undefined) tell(notices, log, log.problem);
  const onSessionsEnded = log?.onSessionsEnded;
  return {
    options: { ...options, ...(onSessionsEnded !== undefined && { onSessionsEnded }) },
    controlSocket,
    reloadSocket,
    log,
    notices,
    specsFor: (specs) => withSettings(file, specs, containerId),
    gatesFor,
    tell: (problem, event) => tell(notices, log, problem, event),
  };
}

function closedFor(problem = 'it cannot be read'): Error {
  return new Error(
    `settings file ${problem}; ports do not open without what the file says of allow, deny and the like`,
  );
}

async function openLog(settings: LogSettings, facts: Facts): Promise<ForwarderLog> {
  const { openForwarderLog } = await import('../../log/forwarder-log.js');
  return openForwarderLog(settings, facts);
}

function factsOf(containerId: string): Facts {
  return { program: 'rootlessport', pid: process.pid, container: containerId };
}

/** To standard error, which Podman shows with `--log-level debug`; to the log; and to whoever asks at the control socket. */
function tell(
  notices: string[],
  log: ForwarderLog | undefined,
  problem: string,
  event = 'settings',
): void {
  const line = oneLine(problem);
  if (notices.length < MAX_NOTICES && !notices.includes(line)) notices.push(line);
  if (log === undefined) writeAll(2, `spliceport: ${line}\n`);
  else log.warn({ event }, line);
}
