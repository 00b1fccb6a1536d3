// reports.ts: how `spliceport forward` reports what happens: as JSON, on a terminal, or as log
// lines.

import { basename } from 'node:path';
import type { EndedSession, Forward, Stats } from '../../index.js';
import { describeEnded } from '../../log/session-lines.js';
import type { Trouble } from '../../log/troubles.js';
import type { Log } from '../../log/log-types.js';
import { describeForward } from '../text/describe.js';
import type { CliFailure } from '../failure.js';
import type { LiveLine } from '../text/live-line.js';
import { print, printJson, remark } from '../output.js';
import type { Traffic } from './traffic.js';
import { count, formatBytes, formatRate } from '../text/units.js';

/** What happens to a forwarder, in order. */
export type ForwardEvent =
  | {
      readonly event: 'ready';
      readonly pid: number;
      /** Null if there is none. */
      readonly controlSocket: string | null;
      readonly netnsPath: string;
      readonly forwards: readonly Forward[];
    }
  | { readonly event: 'added' | 'removed' | 'retargeted'; readonly forward: Forward }
  | ({
      readonly event: 'traffic';
      readonly sessionsOpen: number;
      readonly sessionsTotal: number;
      readonly connectFailures: number;
    } & Traffic)
  | { readonly event: 'container-ended'; readonly container: string }
  | {
      readonly event: 'container-starting';
      readonly container: string;
      readonly command: string;
    }
  | {
      readonly event: 'container-stopping';
      readonly container: string;
      readonly command: string;
    }
  | {
      readonly event: 'container-command-failed';
      readonly container: string;
      readonly command: string;
      readonly reason: string;
    }
  | {
      readonly event: 'container-back';
      readonly container: string;
      readonly id: string;
      readonly pid: number;
    }
  | ({ readonly event: 'session' } & EndedSession)
  | ({ readonly event: 'troubles' } & Trouble)
  | { readonly event: 'draining'; readonly sessionsOpen: number; readonly drainMs: number }
  | { readonly event: 'closed'; readonly stats: Stats }
  | {
      readonly event: 'failed';
      readonly message: string;
      readonly exitCode: number;
      readonly code?: string;
      readonly hint?: string;
    };

/** Takes what happens. */
export type Report = (event: ForwardEvent) => void;

/** One line of JSON for each event, on stdout. */
export function jsonReport(event: ForwardEvent): void {
  const { event: name, ...facts } = event;
  printJson({ event: name, time: new Date().toISOString(), ...facts });
}

/** The event of a failure. */
export function failedEvent({ message, exitCode, code, hint }: CliFailure): ForwardEvent {
  return {
    event: 'failed',
    message,
    exitCode,
    ...(code !== undefined && { code }),
    ...(hint !== undefined && { hint }),
  };
}

/** Lines for a person, above one that shows the traffic. Problems are in the log. */
export function terminalReport(line: LiveLine, log: Log): Report {
  let ended = '';
  return (event) => {
    switch (event.event) {
      case 'container-starting':
      case 'container-stopping':
      case 'container-command-failed':
        line.above(() => remark(describeCommand(event)));
        return;
      case 'container-ended':
      case 'container-back':
        ended = event.event === 'container-ended' ? `   ${event.container} has stopped` : '';
        line.above(() => remark(describeContainer(event)));
        return;
      case 'ready':
        line.above(() => {
          for (const forward of event.forwards) print(describeForward(forward));
          remark(describeStart(event.controlSocket));
        });
        return;
      case 'added':
      case 'removed':
      case 'retargeted':
        line.above(() => print(`${event.event}  ${describeForward(event.forward)}`));
        return;
      case 'traffic':
        line.show(`${describeTraffic(event)}${ended}`);
        return;
      case 'session':
        log.info(event, describeEnded(event));
        return;
      case 'troubles':
        log.warn({ event: 'troubles', ...event.facts }, event.message);
        return;
      case 'draining':
        line.show(`${describeDraining(event)}; press Ctrl-C to end them now`);
        return;
      case 'closed':
        line.end();
        print(describeTotals(event.stats));
        return;
      case 'failed':
        line.end();
    }
  };
}

/** The forwards on stdout, everything else as log lines. */
export function logReport(log: Log): Report {
  return (event) => {
    const { event: name, ...facts } = event;
    switch (event.event) {
      case 'ready':
        for (const forward of event.forwards) print(describeForward(forward));
        log.info({ event: name, controlSocket: event.controlSocket }, 'ready');
        return;
      case 'added':
      case 'removed':
      case 'retargeted':
        log.info({ event: name, ...facts }, `${name} ${describeForward(event.forward)}`);
        return;
      case 'container-starting':
      case 'container-stopping':
        log.info({ event: name, ...facts }, describeCommand(event));
        return;
      case 'container-command-failed':
        log.warn({ event: name, ...facts }, describeCommand(event));
        return;
      case 'container-ended':
        log.warn({ event: name, ...facts }, describeContainer(event));
        return;
      case 'container-back':
        log.info({ event: name, ...facts }, describeContainer(event));
        return;
      case 'traffic':
        log.info({ event: name, ...facts }, describeTraffic(event));
        return;
      case 'session':
        log.info(event, describeEnded(event));
        return;
      case 'troubles':
        log.warn({ event: name, ...event.facts }, event.message);
        return;
      case 'draining':
        log.info({ event: name, ...facts }, describeDraining(event));
        return;
      case 'closed':
        log.info({ event: name, ...facts }, describeTotals(event.stats));
        return;
      case 'failed': // Told on standard error by whoever ends the process.
    }
  };
}

/** The message about a container that is followed. */
export function describeContainer({
  event,
  container,
}: Extract<ForwardEvent, { event: 'container-ended' | 'container-back' }>): string {
  return event === 'container-ended'
    ? `Container ${container} has stopped. Its forwards wait until it runs again.`
    : `Container ${container} is running again, and its forwards lead to it.`;
}

/** The message about a command of --on-demand. */
export function describeCommand(
  event: Extract<ForwardEvent, { readonly command: string }>,
): string {
  const { container, command } = event;
  switch (event.event) {
    case 'container-starting':
      return `A client has come for container ${container}: ${command}`;
    case 'container-stopping':
      return `Container ${container} is not in use: ${command}`;
    case 'container-command-failed':
      return `Container ${container}: ${JSON.stringify(command)} has failed: ${event.reason}`;
  }
}

/** With the id that the other commands use. */
function describeStart(controlSocket: string | null): string {
  const name =
    controlSocket === null ? '' : `This is forwarder ${basename(controlSocket, '.sock')}. `;
  return `${name}Press Ctrl-C to stop it.`;
}

/** The traffic since the last report, in a line. */
export function describeTraffic(event: Extract<ForwardEvent, { event: 'traffic' }>): string {
  const { connectFailures } = event;
  const failed = connectFailures > 0 ? `, ${connectFailures} failed` : '';
  return [
    `to container ${formatRate(event.bytesToContainerPerSecond)}`,
    `to host ${formatRate(event.bytesToHostPerSecond)}`,
    `${event.sessionsOpen} open, ${count(event.sessionsTotal, 'session')} in all${failed}`,
  ].join('   ');
}

/** How far the forwarder has drained. */
export function describeDraining(event: Extract<ForwardEvent, { event: 'draining' }>): string {
  const seconds = Math.ceil(event.drainMs / 1_000);
  return `${count(event.sessionsOpen, 'session')} may continue for ${count(seconds, 'second')}`;
}

function describeTotals(stats: Stats): string {
  return [
    count(stats.sessionsTotal, 'session'),
    `${formatBytes(stats.bytesToContainer)} to the container`,
    `${formatBytes(stats.bytesToHost)} to the host`,
  ].join(', ');
}
