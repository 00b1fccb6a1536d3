// actions.ts: does what the page asks for.

import type { Action, Outcome } from '../../page/page-messages.js';
import { failureOf, usageFailure } from '../failure.js';
import { specsFrom } from '../forward/specs.js';
import { ofOption } from '../option-failure.js';
import { findRunning, pickForward, pickForwarder } from '../running/forwarders.js';
import { withPortOwner } from '../running/port-owner.js';
import { describeForward } from '../text/describe.js';
import { count, formatHost } from '../text/units.js';

/**
 * Does it, and says what was done.
 * @throws CliFailure, or ControlError
 */
export async function act(action: Action): Promise<Outcome> {
  switch (action.do) {
    case 'add':
      return add(action);
    case 'retarget':
      return retarget(action);
    case 'remove':
      return remove(action);
    case 'drain':
      return drain(action);
    default:
      throw usageFailure('there is no such action');
  }
}

type As<Name extends Action['do']> = Extract<Action, { readonly do: Name }>;

const findAnswering = () => findRunning(() => undefined);

async function add({ forwarder: id, spec, ...limits }: As<'add'>): Promise<Outcome> {
  const { maxSessions, maxRate, maxPerClient, allow, deny } = limits;
  const specs = specsFrom(spec.trim().split(/\s+/), {
    ...(maxSessions !== undefined && { maxSessions }),
    ...(maxRate !== undefined && { maxRate }),
    ...(maxPerClient !== undefined && { maxPerClient }),
    ...(allow !== undefined && { allow }),
    ...(deny !== undefined && { deny }),
  });
  const forwarder = pickForwarder(await findAnswering(), id);
  try {
    const added = await forwarder.client.add(specs);
    return { message: `Added ${added.map(describeForward).join(', ')}` };
  } catch (error) {
    throw withPortOwner(failureOf(ofOption(error)), specs);
  }
}

async function retarget({ forward, address, port }: As<'retarget'>): Promise<Outcome> {
  const { forwarder, number } = pickForward(await findAnswering(), forward);
  const { container } = await forwarder.client.retarget(number, { address, port });
  return { message: `${forward} leads to ${formatHost(container)} now` };
}

async function remove({ forward, drainSeconds }: As<'remove'>): Promise<Outcome> {
  const { forwarder, number } = pickForward(await findAnswering(), forward);
  await forwarder.client.remove(number, { drainMs: drainSeconds * 1_000 });
  return { message: `Removed ${forward}` };
}

async function drain({ forwarder: id, drainSeconds }: As<'drain'>): Promise<Outcome> {
  const forwarder = pickForwarder(await findAnswering(), id);
  const { forwards, sessions } = await forwarder.client.drain({ drainMs: drainSeconds * 1_000 });
  return {
    message: `Drained ${id}: ${count(forwards, 'forward')} closed, ${count(sessions, 'session')} ended`,
  };
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isNumber = (value: unknown): boolean => Number.isFinite(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const may =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || check(value);

/** The fields of each action, and what may be in them. */
const fieldsOf: {
  readonly [Name in Action['do']]: Readonly<
    Record<Exclude<keyof As<Name>, 'do'>, (value: unknown) => boolean>
  >;
} = {
  add: {
    forwarder: isText,
    spec: isText,
    maxSessions: may(isNumber),
    maxRate: may(isNumber),
    maxPerClient: may(isNumber),
    allow: may(isTexts),
    deny: may(isTexts),
  },
  retarget: { forward: isText, address: isText, port: isNumber },
  remove: { forward: isText, drainSeconds: isNumber },
  drain: { forwarder: isText, drainSeconds: isNumber },
};

/** @throws CliFailure */
function assertAction(value: object): asserts value is Action {
  const given = new Map<string, unknown>(Object.entries(value));
  const known = Object.entries(fieldsOf).find(([name]) => name === given.get('do'));
  if (known === undefined) throw usageFailure('there is no such action');
  for (const [field, isValid] of Object.entries(known[1])) {
    if (!isValid(given.get(field))) throw usageFailure(`"${field}" is missing or invalid`);
  }
}

/**
 * Reads a request. Ranges are checked by the forwarder.
 * @throws CliFailure
 */
export function parseAction(text: string): Action {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw usageFailure('the request is not JSON');
  }
  const action = typeof value === 'object' && value !== null ? value : {};
  assertAction(action);
  return action;
}
