// forward.ts: `spliceport forward`: runs a forwarder in the foreground.

import type {
  EngineOptions,
  Forward,
  Forwarder,
  ForwarderOptions,
  ForwardSpec,
} from '../../index.js';
import { findSettingsFile } from '../../settings/find.js';
import type { LogSettings } from '../../log/log-types.js';
import type { ForwarderSettings } from '../../settings/settings-types.js';
import { openControl, withoutControl, type Control } from '../forward/control-socket.js';
import { findContainer } from '../running/engines.js';
import { EndRequests } from '../forward/end-requests.js';
import { exitCodes, failureOf } from '../failure.js';
import { emptyNetns } from '../forward/empty-netns.js';
import { Follower, FollowingForwarder } from '../forward/follow.js';
import { OnDemand } from '../forward/on-demand.js';
import {
  onDemandFrom,
  type OnDemandCommands,
  type OnDemandFlags,
} from '../forward/on-demand-options.js';
import { runCommand } from '../forward/run-command.js';
import {
  describeContainer,
  jsonReport,
  logReport,
  terminalReport,
  type Report,
} from '../forward/reports.js';
import { ForwardWatch, type WatchOptions } from '../forward/watch.js';
import { LiveLine } from '../text/live-line.js';
import { remark } from '../output.js';
import { ofOption } from '../option-failure.js';
import { hasSessions, openLog, type LogOptions } from '../forward/open-log.js';
import { enteredTarget, lookUpOutside, runOutside } from '../forward/outer-process.js';
import { withPortOwner } from '../running/port-owner.js';
import { isForbidden, reenter } from '../forward/reenter.js';
import { withService } from '../forward/service-reports.js';
import { sessionReports } from '../forward/session-reports.js';
import type { ForwardSpecOptions } from '../forward/forward-options.js';
import { specsFrom } from '../forward/specs.js';
import { ServiceManager } from '../systemd/notify.js';
import { onSockets, passedSockets, type PassedSocket } from '../systemd/sockets.js';
import { resolveTarget, type Target, type TargetOptions } from '../running/target.js';

const TERMINAL_INTERVAL_SECONDS = 1;
const LOG_INTERVAL_SECONDS = 60;

/** A container may take this long to start. */
const ON_DEMAND_WAIT_SECONDS = 60;

/** Options of `forward`. */
export interface ForwardOptions
  extends TargetOptions, ForwardSpecOptions, LogOptions, Omit<OnDemandFlags, 'container'> {
  /** Unit: seconds. */
  readonly drain: number;
  /** How often traffic is reported. Unit: seconds. 0: never. */
  readonly interval?: number;
  readonly json?: boolean;
  /** Whether to follow the named container when it runs again. */
  readonly follow: boolean;
}

/**
 * Forwards until a signal comes.
 * @returns The exit code.
 */
export async function forward(texts: readonly string[], given: ForwardOptions): Promise<number> {
  const onDemand = onDemandFrom(given);
  const options =
    onDemand === undefined ? given : { waitForServer: ON_DEMAND_WAIT_SECONDS, ...given };
  const sockets = passedSockets();
  const specs = specsFrom(texts, options, sockets);
  const settings = await findSettings();
  const entered = enteredTarget();
  using empty = onDemand !== undefined && entered === undefined ? await emptyNetns() : undefined;
  const target = entered ?? empty?.target ?? (await resolveTarget(options));
  if (entered === undefined && isForbidden(target)) return await reenter(target);
  await serve(target, { specs, sockets, onDemand }, options, settings(target));
  return exitCodes.done;
}

/** The settings for a target. */
interface OwnSettings {
  readonly forwarder: ForwarderSettings;
  readonly engine: EngineOptions;
  /** Gives forwards their settings. */
  readonly specsFor: (specs: readonly ForwardSpec[]) => readonly ForwardSpec[];
}

/**
 * Reads the settings file before anything else. Loads the code that checks it only if there is one.
 */
async function findSettings(): Promise<(target: Target) => OwnSettings> {
  const none = { forwarder: {}, engine: {}, specsFor: (specs: readonly ForwardSpec[]) => specs };
  if (findSettingsFile() === undefined) return () => none;
  const [{ requireSettings }, apply] = await Promise.all([
    import('./settings.js'),
    import('../../settings/apply.js'),
  ]);
  const file = requireSettings()?.file ?? {};
  return ({ containerId }) => {
    const forwarder = apply.forwarderSettings(file, containerId);
    return {
      forwarder,
      engine: apply.engineSettings(forwarder),
      specsFor: (specs) => apply.withSettings(file, specs, containerId),
    };
  };
}

/** What to forward, before the settings. */
interface Wanted {
  readonly specs: readonly ForwardSpec[];
  readonly sockets: readonly PassedSocket[];
  readonly onDemand: OnDemandCommands | undefined;
}

async function serve(
  target: Target,
  wanted: Wanted,
  options: ForwardOptions,
  settings: OwnSettings,
): Promise<void> {
  const { netnsPath } = target;
  // Warnings of the library, such as that servers cannot see their clients, in this program's form.
  process.removeAllListeners('warning').on('warning', ({ message }) => remark(message));
  // From here on, a signal is a request to stop in order.
  using requests = new EndRequests();
  const { controlSocket = true, log } = settings.forwarder;
  using service = new ServiceManager();
  const watching = withService(await reporting(options, log), service);
  const { report, onSessionsEnded } = watching;
  await using forwarder = new FollowingForwarder({
    path: netnsPath,
    ...settings.engine,
    ...(onSessionsEnded !== undefined && { onSessionsEnded }),
  });
  const forwards = await addAll(forwarder, settings.specsFor(wanted.specs), wanted.sockets);
  using control = controlSocket
    ? openControl(forwarder, target, (reason) => {
        remark(`No control socket, so "spliceport ls" does not show this forwarder: ${reason}`);
      })
    : withoutControl();
  report({
    event: 'ready',
    pid: process.pid,
    controlSocket: control.path ?? null,
    netnsPath,
    forwards,
  });
  using watch = new ForwardWatch(forwarder, watching);
  const to = { forwarder, control, report };
  using follower =
    wanted.onDemand === undefined
      ? followed(target, options, to)
      : startedOnDemand(target, wanted.onDemand, options, to);
  await Promise.race([requests.next(), control.drained]);
  service.stopping(options.drain * 1_000);
  follower?.[Symbol.dispose]();
  await watch.finish();
  await close(forwarder, options.drain * 1_000, { requests, watch });
  report({ event: 'closed', stats: forwarder.stats() });
}

/** Those that are told where a container is. */
interface Followed {
  readonly forwarder: FollowingForwarder;
  readonly control: Control;
  readonly report: Report;
}

/** Starts a named container for its clients. */
function startedOnDemand(
  { netnsPath }: Target,
  commands: OnDemandCommands,
  { container: name = '', waitForServer = ON_DEMAND_WAIT_SECONDS }: ForwardOptions,
  { forwarder, control, report }: Followed,
): Disposable {
  const isInner = enteredTarget() !== undefined;
  const asleep = `Container ${name} does not run. Its next client starts it.`;
  control.show({}, asleep);
  return new OnDemand({
    ...{ name, commands, forwarder },
    waitMs: waitForServer * 1_000,
    emptyNetnsPath: netnsPath,
    lookUp: isInner ? lookUpOutside : findContainer,
    run: isInner ? runOutside : runCommand,
    report: (event) => {
      if (event.event === 'container-back') control.show({ id: event.id, pid: event.pid });
      if (event.event === 'container-ended') control.show({}, asleep);
      report(event);
    },
  });
}

/** Follows a named container; a process or a namespace has no successor to follow. */
function followed(
  { pid }: Target,
  { container: name, follow }: ForwardOptions,
  to: Followed,
): Disposable | undefined {
  if (!follow || name === undefined || pid === undefined) return undefined;
  const { forwarder, control, report } = to;
  try {
    return new Follower({
      name,
      pid,
      forwarder,
      lookUp: enteredTarget() === undefined ? findContainer : lookUpOutside,
      onEnded: () => {
        const event = { event: 'container-ended', container: name } as const;
        control.show({}, describeContainer(event));
        report(event);
      },
      onBack: (found) => {
        control.show(found);
        report({ event: 'container-back', container: name, ...found });
      },
    });
  } catch (error) {
    remark(`Restarts of container ${name} will go unnoticed: ${(error as Error).message}`);
    return undefined;
  }
}

async function addAll(
  forwarder: Forwarder,
  specs: readonly ForwardSpec[],
  sockets: readonly PassedSocket[],
): Promise<Forward[]> {
  const placed = onSockets(specs, sockets);
  try {
    return await forwarder.addAll(placed);
  } catch (error) {
    const opened = placed.filter((spec): spec is ForwardSpec => 'port' in spec.host);
    throw withPortOwner(failureOf(ofOption(error)), opened);
  }
}

async function reporting(
  options: ForwardOptions,
  settings: LogSettings | undefined,
): Promise<WatchOptions & Pick<ForwarderOptions, 'onSessionsEnded'>> {
  const { json = false, interval } = options;
  // The type promises a terminal, but not every stream is one.
  const isTerminal: boolean | undefined = process.stderr.isTTY;
  const isLive = !json && isTerminal;
  const intervalSeconds = interval ?? (isLive ? TERMINAL_INTERVAL_SECONDS : LOG_INTERVAL_SECONDS);
  const { summaryIntervalMs } = settings ?? {};
  const watching = { intervalSeconds, isLive, summaryIntervalMs };
  const told = (report: Report, stream: NodeJS.WriteStream) => ({
    report,
    ...watching,
    // Events of --json have no level.
    ...(hasSessions(json ? { ...options, logLevel: 'info' } : options, settings) && {
      onSessionsEnded: sessionReports(report, stream),
    }),
  });
  if (json) return told(jsonReport, process.stdout);
  if (!isLive) return told(logReport(await openLog(options, settings)), process.stderr);
  const line = new LiveLine(process.stderr);
  const log = await openLog(options, settings, (write) => line.above(write));
  return told(terminalReport(line, log), process.stderr);
}

/** Drains; a second request ends the remaining sessions at once. */
async function close(
  forwarder: Forwarder,
  drainMs: number,
  { requests, watch }: { readonly requests: EndRequests; readonly watch: ForwardWatch },
): Promise<void> {
  if (drainMs > 0) {
    const drained = forwarder.close({ drainMs });
    watch.drains(drainMs);
    await Promise.race([drained, requests.next()]);
  }
  await forwarder.close();
}
