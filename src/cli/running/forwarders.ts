// forwarders.ts: the running forwarders of this user, and the ids of them and their forwards.
// A forwarder's id is the name of its control socket; a forward's id adds its number: 4281/1.

import { basename } from 'node:path';
import { listForwarders, type RunningForwarder } from '../../control/client.js';
import type { Forward } from '../../control/control-types.js';
import type { ContainerNames } from './container-names.js';
import { CliFailure, exitCodes, usageFailure } from '../failure.js';
import { remark } from '../output.js';

/** A forwarder that answered. */
export interface Running extends RunningForwarder {
  readonly id: string;
}

/** A forward of a forwarder that answered. */
export interface RunningForward {
  readonly forwarder: Running;
  readonly number: number;
}

/**
 * Every forwarder of this user that answers.
 * @param onSilent - Called for each that does not. Default: prints a line.
 */
export async function findRunning(onSilent = remarkSilent): Promise<Running[]> {
  const found = await listForwarders(undefined, (socketPath, { message }) => {
    onSilent(idOf(socketPath), message);
  });
  return found.map((forwarder) => ({ ...forwarder, id: idOf(forwarder.socketPath) }));
}

/** Prints a line about a forwarder that is left out. */
export function remarkSilent(id: string, message: string): void {
  remark(`Skipped forwarder ${id}: ${message}`);
}

function idOf(socketPath: string): string {
  return basename(socketPath, '.sock');
}

/** The id of a forward on the command line. */
export function forwardId(forwarder: Running, number: number): string {
  return `${forwarder.id}/${number}`;
}

/** The container that forwards lead to: its name and short id, or the path of its namespace. */
export function placeOf({ info }: Running, { netnsPath }: Forward, names: ContainerNames): string {
  const { id, name: own } = info.container ?? {};
  if (id === undefined) return netnsPath;
  const name = own ?? names.get(id);
  return name === undefined ? id.slice(0, 12) : `${name} (${id.slice(0, 12)})`;
}

/**
 * The forwarder with this id; without an id, the only one.
 * @throws CliFailure
 */
export function pickForwarder(running: readonly Running[], id: string | undefined): Running {
  const [only, ...more] = id === undefined ? running : running.filter((each) => each.id === id);
  if (only !== undefined && more.length === 0) return only;
  const ids = running.map((each) => each.id).join(', ');
  if (id !== undefined) throw notFound(`no forwarder ${id} is running`, running);
  if (only === undefined) throw notFound('no forwarder is running', running);
  throw usageFailure('more than one forwarder is running', `Name one of ${ids}.`);
}

/**
 * The forward with this id, `4281/1`; while a single forwarder is running, the number is enough.
 * @throws CliFailure
 */
export function pickForward(running: readonly Running[], id: string): RunningForward {
  const parts = /^(?:([\d-]+)\/)?(\d+)$/.exec(id);
  if (parts === null) {
    throw usageFailure(`${JSON.stringify(id)} is not a forward id`, idHint);
  }
  const [, forwarderId, number] = parts;
  return { forwarder: pickForwarder(running, forwarderId), number: Number(number) };
}

/** The forwarders and forwards with the given ids; without ids, all of them. */
export interface Selection {
  readonly forwarder: Running;
  /** Undefined: all of them. */
  readonly numbers: ReadonlySet<number> | undefined;
}

/**
 * Reads ids of forwarders (`4281`) and of forwards (`4281/1`, and `1` while a single forwarder is
 * running).
 * @throws CliFailure
 */
export function select(running: readonly Running[], ids: readonly string[]): Selection[] {
  if (ids.length === 0) return running.map((forwarder) => ({ forwarder, numbers: undefined }));
  const selected = new Map<Running, Set<number> | undefined>();
  for (const id of ids) {
    if (namesForwarder(running, id)) {
      selected.set(pickForwarder(running, id), undefined);
      continue;
    }
    const { forwarder, number } = pickForward(running, id);
    // The forwarder and one of its forwards together mean the whole forwarder.
    if (!selected.has(forwarder)) selected.set(forwarder, new Set());
    selected.get(forwarder)?.add(number);
  }
  return [...selected].map(([forwarder, numbers]) => ({ forwarder, numbers }));
}

/** A word without a slash is the number of a forward only if it can be nothing else. */
function namesForwarder(running: readonly Running[], id: string): boolean {
  if (id.includes('/')) return false;
  const isNumber = /^\d+$/.test(id) && running.length === 1;
  return !isNumber || running.some((each) => each.id === id);
}

const idHint = '"spliceport ls" lists the ids.';

function notFound(message: string, running: readonly Running[]): CliFailure {
  const hint =
    running.length === 0
      ? 'Each user sees only their own forwarders. "spliceport forward" starts one.'
      : idHint;
  return new CliFailure(exitCodes.notFound, message, { hint });
}
