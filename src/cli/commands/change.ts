// change.ts: `spliceport add`, `rm` and `drain`, which change running forwarders.

import type { DrainReport, Forward } from '../../control/control-types.js';
import { CliFailure, exitCodes, failureOf, usageFailure } from '../failure.js';
import { ofOption } from '../option-failure.js';
import { print, printJson } from '../output.js';
import {
  findRunning,
  forwardId,
  pickForward,
  pickForwarder,
  select,
  type Running,
} from '../running/forwarders.js';
import type { ForwardSpecOptions } from '../forward/forward-options.js';
import { specsFrom } from '../forward/specs.js';
import { describeForward } from '../text/describe.js';
import { count } from '../text/units.js';

/** Options of `add`. */
export interface AddOptions extends ForwardSpecOptions {
  readonly to?: string;
  readonly json?: boolean;
}

/** Adds forwards to a running forwarder: all or none. */
export async function add(texts: readonly string[], options: AddOptions): Promise<void> {
  const specs = specsFrom(texts, options);
  const forwarder = pickForwarder(await findRunning(), options.to);
  let added: Forward[];
  try {
    added = await forwarder.client.add(specs);
  } catch (error) {
    const { withPortOwner } = await import('../running/port-owner.js');
    throw withPortOwner(failureOf(ofOption(error)), specs);
  }
  if (options.json === true) {
    printJson(added.map((forward) => ({ ...forward, id: forwardId(forwarder, forward.id) })));
    return;
  }
  for (const forward of added) {
    print(`${forwardId(forwarder, forward.id)}  ${describeForward(forward)}`);
  }
}

/** Options of `rm`. */
export interface RemoveOptions {
  readonly drain: number;
  readonly json?: boolean;
}

/** Removes forwards. Looks up every id before it removes the first. */
export async function remove(ids: readonly string[], options: RemoveOptions): Promise<void> {
  const running = await findRunning();
  const chosen = await Promise.all(
    ids.map(async (id) => {
      const { forwarder, number } = pickForward(running, id);
      const forwards = await forwarder.client.forwards();
      if (forwards.some((forward) => forward.id === number)) return { forwarder, number };
      throw new CliFailure(
        exitCodes.notFound,
        `forwarder ${forwarder.id} has no forward ${number}`,
        {
          hint: '"spliceport ls" lists the forwards.',
        },
      );
    }),
  );
  const drainMs = options.drain * 1_000;
  await Promise.all(
    chosen.map(({ forwarder, number }) => forwarder.client.remove(number, { drainMs })),
  );
  const removed = chosen.map(({ forwarder, number }) => forwardId(forwarder, number));
  if (options.json === true) printJson(removed);
  else for (const id of removed) print(id);
}

/** Options of `drain`. */
export interface DrainOptions {
  readonly for: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Lets forwarders' sessions finish, and waits until they have ended. */
export async function drain(ids: readonly string[], options: DrainOptions): Promise<void> {
  const chosen = drainable(await findRunning(), ids, options.all === true);
  const drainMs = options.for * 1_000;
  const reports = await Promise.all(
    chosen.map(async (forwarder) => ({
      forwarder,
      report: await forwarder.client.drain({ drainMs }),
    })),
  );
  if (options.json === true) {
    printJson(reports.map(({ forwarder, report }) => ({ id: forwarder.id, ...report })));
    return;
  }
  for (const { forwarder, report } of reports) print(`${forwarder.id}  ${describeDrain(report)}`);
}

function drainable(
  running: readonly Running[],
  ids: readonly string[],
  all: boolean,
): readonly Running[] {
  if (all && ids.length > 0) throw usageFailure('--all and ids cannot be combined');
  if (all) return running;
  if (ids.length === 0) return [pickForwarder(running, undefined)];
  return select(
    running,
    ids.map((id) => id.replace(/\/$/, '')),
  ).map(({ forwarder, numbers }) => {
    if (numbers === undefined) return forwarder;
    const [number = 0] = numbers;
    const hint = `To drain a single forward: spliceport rm --drain SECONDS ${forwardId(forwarder, number)}`;
    throw usageFailure('drain takes forwarders, not single forwards', hint);
  });
}

function describeDrain({ forwards, sessions, tookMs }: DrainReport): string {
  const seconds = (tookMs / 1_000).toFixed(1);
  return `${count(forwards, 'forward')} closed, ${count(sessions, 'session')} ended in ${seconds} s`;
}
