// settings.ts: what the user's settings file says for this container. Whatever is wrong with it, the container starts:
// the helper goes on without the file, and says so. Without a file nothing is loaded.

import type { ForwarderOptions, ForwardSpec } from '../index.js';
import type { ForwarderLog, ForwarderLogOptions } from '../log/forwarder-log.js';
import { findSettingsFile } from '../settings/find.js';
import type { UnixSocketType } from '../system.js';
import { oneLine } from './last-words.js';
import { writeAll } from './streams.js';

/** What holds for this helper. */
export interface HelperSettings {
  readonly options: ForwarderOptions;
  readonly controlSocket: boolean;
  /** Undefined: the one that fits the caller. */
  readonly reloadSocket: UnixSocketType | undefined;
  readonly log: ForwarderLog | undefined;
  /** What is wrong, a sentence each; it may grow. */
  readonly notices: readonly string[];
  /** Gives forwards their settings; undefined where they have none. */
  readonly specsFor: ((specs: readonly ForwardSpec[]) => ForwardSpec[]) | undefined;
  /** Tells the user of something that is wrong. */
  tell(problem: string): void;
}

/** Looks for the file and reads it. */
export async function helperSettings(containerId: string): Promise<HelperSettings> {
  const path = findSettingsFile();
  const notices: string[] = [];
  if (path === undefined) return withoutFile(notices);
  try {
    return await read(path, containerId, notices);
  } catch (error) {
    tell(notices, undefined, `settings file ${path}: ${String(error)}`);
    return withoutFile(notices);
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
    tell: (problem) => tell(notices, undefined, problem),
  };
}

async function read(path: string, containerId: string, notices: string[]): Promise<HelperSettings> {
  const { forwarderSettings, loadQuickly, withSettings } = await import('../settings/quick.js');
  const { file, problems } = await loadQuickly(path);
  for (const problem of problems) tell(notices, undefined, `settings file ${problem}`);
  if (problems.length > 0) return withoutFile(notices);
  const own = forwarderSettings(file, containerId);
  const { controlSocket = true, log: logSettings, reloadSocket, ...options } = own;
  const log = logSettings && (await openLog({ ...logSettings, facts: factsOf(containerId) }));
  if (log?.problem !== undefined) tell(notices, log, log.problem);
  return {
    options,
    controlSocket,
    reloadSocket,
    log,
    notices,
    specsFor: (specs) => withSettings(file, specs, containerId),
    tell: (problem) => tell(notices, log, problem),
  };
}

async function openLog(options: ForwarderLogOptions): Promise<ForwarderLog> {
  const { openForwarderLog } = await import('../log/forwarder-log.js');
  return openForwarderLog(options);
}

function factsOf(containerId: string): object {
  return { program: 'rootlessport', pid: process.pid, container: containerId };
}

/** To standard error, which Podman shows with `--log-level debug`; to the log; and to whoever asks at the control socket. */
function tell(notices: string[], log: ForwarderLog | undefined, problem: string): void {
  const line = oneLine(problem);
  notices.push(line);
  if (log === undefined) writeAll(2, `spliceport: ${line}\n`);
  else log.warn({ event: 'settings' }, line);
}
