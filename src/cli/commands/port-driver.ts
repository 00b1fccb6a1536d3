// port-driver.ts: `spliceport rootlesskit`: the port driver of a RootlessKit, such as that of
// rootless Docker.

import { openDriverSocket } from '../../control/listen.js';
import type { ForwardSpec } from '../../index.js';
import { engineSettings, forwarderSettings, withSettings } from '../../settings/apply.js';
import { watchProcess } from '../../system.js';
import { exitCodes } from '../failure.js';
import { EndRequests } from '../forward/end-requests.js';
import { openLog, type LogOptions } from '../forward/open-log.js';
import { enteredTarget } from '../forward/outer-process.js';
import { isForbidden, reenter } from '../forward/reenter.js';
import { logReport } from '../forward/reports.js';
import { ForwardWatch } from '../forward/watch.js';
import { remark } from '../output.js';
import { processExists } from '../running/processes.js';
import { DriverForwarder } from '../rootlesskit/driver-forwarder.js';
import { KeptPorts } from '../rootlesskit/kept-ports.js';
import {
  infoIn,
  leavePlace,
  removeLeftovers,
  requireInfo,
  stateFolder,
  takePlace,
  usualStateFolder,
  type RootlessKitInfo,
  type StateFolder,
} from '../rootlesskit/state-folder.js';
import { requireSettings } from './settings.js';

const PROGRAM = 'spliceport rootlesskit';
const WAIT_INTERVAL_MS = 100;
const UNSEEN =
  'no docker-proxy and container were found for it, so its server does not see clients’ addresses';

/** Options of `rootlesskit`. */
export interface RootlessKitOptions extends LogOptions {
  readonly stateDir?: string;
  /** Whether to wait until RootlessKit runs. */
  readonly wait?: boolean;
}

/**
 * Serves the ports of a RootlessKit until it ends, or a signal comes.
 * @returns The exit code.
 */
export async function rootlesskit(options: RootlessKitOptions): Promise<number> {
  const folder = stateFolder(options.stateDir ?? usualStateFolder(process.env));
  const { file } = requireSettings() ?? { file: {} };
  if (options.wait === true && enteredTarget() === undefined) await rootlessKitStarts(folder);
  const info = await requireInfo(folder);
  const target = { netnsPath: `/proc/${info.childPID}/ns/net`, pid: info.childPID };
  if (enteredTarget() === undefined && isForbidden(target)) return await reenter(target);
  const settings = forwarderSettings(file, undefined);
  const settingsFor = (spec: ForwardSpec) => withSettings(file, [spec], undefined)[0] ?? spec;
  await serve(folder, info, options, { settings, settingsFor });
  return exitCodes.done;
}

async function rootlessKitStarts(folder: StateFolder): Promise<void> {
  if ((await infoIn(folder)) !== undefined) return;
  removeLeftovers(folder);
  remark(`Waiting for a RootlessKit with the state directory ${folder.path}`);
  while ((await infoIn(folder)) === undefined) {
    await new Promise((resolve) => setTimeout(resolve, WAIT_INTERVAL_MS));
  }
}

interface DriverSettings {
  readonly settings: ReturnType<typeof forwarderSettings>;
  readonly settingsFor: (spec: ForwardSpec) => ForwardSpec;
}

async function serve(
  folder: StateFolder,
  info: RootlessKitInfo,
  options: RootlessKitOptions,
  { settings, settingsFor }: DriverSettings,
): Promise<void> {
  process.removeAllListeners('warning').on('warning', ({ message }) => remark(message));
  using requests = new EndRequests();
  const log = await openLog({ ...options, program: PROGRAM }, settings.log);
  const report = logReport(log);
  const child = info.childPID;
  const notices: string[] = [];
  const kept = new KeptPorts(folder.path, child);
  await using forwarder = new DriverForwarder({
    ...engineSettings(settings),
    child,
    settingsFor,
    onPorts: (ports) => kept.write(ports),
    onUnseen: ({ host }) => {
      const notice = `port ${host.port}: ${UNSEEN}`;
      if (!notices.includes(notice)) notices.push(notice);
      log.warn({ event: 'client-addresses-unseen', port: host.port }, notice);
    },
  });
  using control = openDriverSocket(forwarder, {
    program: PROGRAM,
    container: { pid: child },
    notices,
    rootlessKit: {
      info,
      forwardOf: (id) => forwarder.forwardOf(id),
      portOf: (id) => forwarder.portOf(id),
    },
  });
  using watch = new ForwardWatch(forwarder, { report, intervalSeconds: 0, isLive: false });
  for (const failure of await forwarder.restore(kept.read())) {
    log.warn({ event: 'not-restored' }, failure);
  }
  takePlace(folder, control.path);
  try {
    report({
      event: 'ready',
      pid: process.pid,
      controlSocket: control.path,
      netnsPath: `/proc/${child}/ns/net`,
      forwards: [],
    });
    // Its watch alone would not keep the process alive while there is no port.
    const timer = setInterval(() => undefined, 2 ** 30);
    await Promise.race([requests.next(), exited(child)]);
    clearInterval(timer);
    await watch.finish();
  } finally {
    leavePlace(folder);
    if (!processExists(child)) kept.remove();
  }
  report({ event: 'closed', stats: forwarder.stats() });
}

function exited(pid: number): Promise<void> {
  return new Promise((resolve) => {
    if (watchProcess(pid, resolve) === undefined) resolve();
  });
}
