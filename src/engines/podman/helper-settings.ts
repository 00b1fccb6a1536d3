// helper-settings.ts: what the user's settings file says for this container. Of a wrong file its
// gates hold, which are the settings that keep clients out, and nothing else; the helper says so.
// Where a gate cannot be had, no port opens. Without a file nothing is loaded.

import type { ForwarderOptions, ForwardSpec } from '../../index.js';
import type { ForwarderLog } from '../../log/forwarder-log.js';
import type { Facts, LogSettings } from '../../log/log-types.js';
import { findSettingsFile } from '../../settings/find.js';
import type { Linger } from '../../settings/settings-types.js';
import type { UnixSocketType } from '../../system.js';
import type { Notes } from './notes.js';
import { oneLine } from './one-line.js';
import type { Surroundings } from './surroundings.js';

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
  /** What the log was opened with. */
  readonly logSettings?: LogSettings;
  readonly linger?: Linger;
  /** Whether the container is to have a process of its own for its decisions. */
  readonly wantsOwnProcess?: boolean;
  /** What is wrong, a sentence each; it may grow. */
  readonly notices: readonly string[];
  /**
   * Gives forwards their settings; undefined where they have none. It throws where a gate cannot be
   * had.
   */
  readonly specsFor: SpecRule | undefined;
  /** Gives them no more than their gates. */
  readonly gatesFor: SpecRule | undefined;
  /** Tells the user of something that is wrong. */
  tell(problem: string, event?: string): void;
}

/** The process that a container is in, as far as its settings go. */
export type SettingsHost = Pick<
  Surroundings,
  'env' | 'errorOutput' | 'pathFor' | 'pid' | 'program' | 'write'
>;

/** Looks for the file and reads it. */
export async function helperSettings(
  containerId: string,
  host: SettingsHost,
): Promise<HelperSettings> {
  const path = findSettingsFile(host.env, host.pathFor);
  const notices: string[] = [];
  if (path === undefined) return withoutFile(notices, host);
  try {
    return await read(path, { containerId, notices, host });
  } catch (error) {
    throw new Error(`settings file ${path}: ${String(error)}`, { cause: error });
  }
}

/**
 * The settings of a container whose ports are open, as they were noted.
 * @param notes - What is not there is as without a settings file.
 */
export async function notedSettings(
  containerId: string,
  { controlSocket = true, log: logSettings, linger, notices: noted = [] }: Partial<Notes>,
  host: SettingsHost,
): Promise<HelperSettings> {
  const notices = [...noted];
  // Its caller listens no more.
  const silent = { ...host, write: () => undefined, errorOutput: { write: () => undefined } };
  const log = logSettings && (await openLog(logSettings, containerId, silent));
  log?.leaveStandardError();
  const onSessionsEnded = log?.onSessionsEnded;
  return {
    ...withoutFile(notices, silent),
    controlSocket,
    options: onSessionsEnded === undefined ? {} : { onSessionsEnded },
    log,
    ...(logSettings !== undefined && { logSettings }),
    ...(linger !== undefined && { linger }),
    tell: (problem, event) => tell({ notices, host: silent }, log, problem, event),
  };
}

function withoutFile(notices: string[], host: SettingsHost): HelperSettings {
  return {
    options: {},
    controlSocket: true,
    reloadSocket: undefined,
    log: undefined,
    notices,
    specsFor: undefined,
    gatesFor: undefined,
    tell: (problem, event) => tell({ notices, host }, undefined, problem, event),
  };
}

interface Told {
  readonly notices: string[];
  readonly host: SettingsHost;
}

async function read(
  path: string,
  { containerId, ...told }: Told & { readonly containerId: string },
): Promise<HelperSettings> {
  const { notices, host } = told;
  const { engineSettings, forwarderSettings, loadQuickly, withSettings } =
    await import('../../settings/quick.js');
  const { file, gates, problems } = await loadQuickly(path, host.pathFor(path));
  const [first] = problems;
  const gatesFor: SpecRule = (specs) => {
    if (gates === undefined) throw closedFor(first);
    return withSettings(gates, specs, containerId);
  };
  if (first !== undefined) {
    // Where no port opens, the refusal says what is wrong.
    const onlyGates = { ...withoutFile(notices, host), specsFor: gatesFor, gatesFor };
    if (gates === undefined) return onlyGates;
    for (const problem of problems) tell(told, undefined, `settings file ${problem}`);
    return onlyGates;
  }
  const own = forwarderSettings(file, containerId);
  const { controlSocket = true, log: logSettings, reloadSocket } = own;
  const { process: chosen, residentLingerSeconds: linger } = own;
  const log = logSettings && (await openLog(logSettings, containerId, host));
  if (log?.problem !== undefined) tell(told, log, log.problem);
  const onSessionsEnded = log?.onSessionsEnded;
  return {
    options: { ...engineSettings(own), ...(onSessionsEnded !== undefined && { onSessionsEnded }) },
    controlSocket,
    reloadSocket,
    log,
    ...(logSettings !== undefined && { logSettings }),
    ...(linger !== undefined && { linger }),
    wantsOwnProcess: chosen === 'own',
    notices,
    specsFor: (specs) => withSettings(file, specs, containerId),
    gatesFor,
    tell: (problem, event) => tell(told, log, problem, event),
  };
}

function closedFor(problem = 'it cannot be read'): Error {
  return new Error(
    `settings file ${problem}; ports do not open without what the file says of allow, deny and the like`,
  );
}

async function openLog(
  settings: LogSettings,
  containerId: string,
  { errorOutput, pid, program = 'rootlessport' }: SettingsHost,
): Promise<ForwarderLog> {
  const { openForwarderLog } = await import('../../log/forwarder-log.js');
  const facts: Facts = { program, pid, container: containerId };
  return openForwarderLog(settings, facts, errorOutput);
}

/**
 * To standard error, which Podman shows with `--log-level debug`; to the log; and to whoever asks
 * at the control socket.
 */
function tell(
  { notices, host }: Told,
  log: ForwarderLog | undefined,
  problem: string,
  event = 'settings',
): void {
  const line = oneLine(problem);
  if (notices.length < MAX_NOTICES && !notices.includes(line)) notices.push(line);
  if (log === undefined) host.write(`spliceport: ${line}\n`);
  else log.warn({ event }, line);
}
