// forward.ts: `spliceport forward`: a forwarder in the foreground.

import { Forwarder, type Forward, type ForwardSpec } from '../index.js';
import { withAdmission, type AdmissionOptions } from './admission.js';
import { withClientAddress, type ClientAddressOptions } from './client-address.js';
import { openControl } from './control.js';
import { EndRequests } from './end-requests.js';
import { exitCodes, failureOf } from './failure.js';
import { failedEvent, jsonReport, logReport, terminalReport } from './forward-reports.js';
import { ForwardWatch, type WatchOptions } from './forward-watch.js';
import { LiveLine } from './live-line.js';
import { remark } from './output.js';
import { plainLog } from './plain-log.js';
import { enteredTarget } from './outer-process.js';
import { withPortOwner } from './port-owner.js';
import { isForbidden, reenter } from './reenter.js';
import { parseSpecs } from './specs.js';
import { resolveTarget, type Target, type TargetOptions } from './target.js';

const TERMINAL_INTERVAL_SECONDS = 1;
const LOG_INTERVAL_SECONDS = 60;

/** Options of `forward`. */
export interface ForwardOptions extends TargetOptions, ClientAddressOptions, AdmissionOptions {
  /** Unit: seconds. */
  readonly drain: number;
  /** How often traffic is told. Unit: seconds. 0: never. */
  readonly interval?: number;
  readonly json?: boolean;
}

/**
 * Forwards until a signal comes.
 * @returns The exit code.
 */
export async function forward(texts: readonly string[], options: ForwardOptions): Promise<number> {
  try {
    const specs = withAdmission(withClientAddress(parseSpecs(texts), options), options);
    const entered = enteredTarget();
    const target = entered ?? (await resolveTarget(options));
    if (entered === undefined && isForbidden(target)) return await reenter(target);
    await serve(target, specs, options);
    return exitCodes.done;
  } catch (error) {
    const failure = failureOf(error);
    if (options.json === true) jsonReport(failedEvent(failure));
    throw failure;
  }
}

async function serve(
  target: Target,
  specs: readonly ForwardSpec[],
  options: ForwardOptions,
): Promise<void> {
  const { netnsPath } = target;
  // A warning of the library's, such as that servers cannot see their clients, in the words of this program.
  process.removeAllListeners('warning').on('warning', ({ message }) => remark(message));
  // From here on a signal is a request to end in order.
  using requests = new EndRequests();
  await using forwarder = new Forwarder({ netns: { path: netnsPath } });
  const forwards = await addAll(forwarder, specs);
  using control = openControl(forwarder, target, (reason) => {
    remark(`Without a control socket "spliceport ls" does not show this forwarder: ${reason}`);
  });
  const watching = reporting(options);
  const { report } = watching;
  report({
    event: 'ready',
    pid: process.pid,
    controlSocket: control.path ?? null,
    netnsPath,
    forwards,
  });
  using watch = new ForwardWatch(forwarder, forwards, watching);
  await Promise.race([requests.next(), control.drained]);
  watch.changes();
  await close(forwarder, options.drain * 1_000, { requests, watch });
  report({ event: 'closed', stats: forwarder.stats() });
}

async function addAll(forwarder: Forwarder, specs: readonly ForwardSpec[]): Promise<Forward[]> {
  try {
    return await forwarder.addAll(specs);
  } catch (error) {
    throw withPortOwner(failureOf(error), specs);
  }
}

function reporting(options: ForwardOptions): WatchOptions {
  const { json = false, interval } = options;
  // Not every stream is a terminal, whatever its type says.
  const isTerminal: boolean | undefined = process.stderr.isTTY;
  const isLive = !json && isTerminal;
  const intervalSeconds = interval ?? (isLive ? TERMINAL_INTERVAL_SECONDS : LOG_INTERVAL_SECONDS);
  const watching = { intervalSeconds, isLive };
  if (json) return { report: jsonReport, ...watching };
  const report = isLive ? terminalReport(new LiveLine(process.stderr)) : logReport(plainLog);
  return { report, ...watching };
}

/** Drains; a second request ends what is left at once. */
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
