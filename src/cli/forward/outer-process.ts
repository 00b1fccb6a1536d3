// outer-process.ts: how a process that reenter.ts has started talks to the one that started it.

import type { EngineContainer } from '../running/engines.js';
import type { Target } from '../running/target.js';

/** Has the target as JSON, so that it is not looked up again. */
const ENTERED_VARIABLE = 'SPLICEPORT_ENTERED_TARGET';

/** Variables for the inner process. */
export function enteredEnvironment(target: Target): NodeJS.ProcessEnv {
  return { [ENTERED_VARIABLE]: JSON.stringify(target) };
}

/** The target, if this is an inner process. */
export function enteredTarget(): Target | undefined {
  const target = process.env[ENTERED_VARIABLE];
  return target === undefined ? undefined : (JSON.parse(target) as Target);
}

/** Resolves when the outer process has exited; never without one. */
export function outerProcessEnds(): Promise<void> {
  return new Promise((resolve) => {
    if (enteredTarget() !== undefined) process.once('disconnect', resolve);
  });
}

/** Lets this process exit although the outer one is still there. */
export function leaveOuterProcess(): void {
  if (enteredTarget() !== undefined && process.connected) process.disconnect();
}

/**
 * A question of the inner process: in its user namespace it is root, and engines would answer for
 * root.
 */
export type OuterQuestion = { readonly lookUp: string } | { readonly run: string };

/** The answer; without a container if it is not running. */
export interface OuterAnswer {
  readonly container?: EngineContainer;
  /** Of a command. */
  readonly exitCode?: number;
}

/** A message of the inner process for systemd, which knows only the outer one. */
export interface OuterNotice {
  readonly notify: string;
}

/** Asks the outer process for a container. One question at a time. */
export async function lookUpOutside(name: string): Promise<EngineContainer> {
  const { container } = await ask({ lookUp: name });
  if (container === undefined) throw new Error(`no container ${name} is running`);
  return container;
}

/** Has the outer process run a command. One question at a time. */
export async function runOutside(command: string): Promise<number> {
  const { exitCode = 1 } = await ask({ run: command });
  return exitCode;
}

function ask(question: OuterQuestion): Promise<OuterAnswer> {
  const answer = new Promise<OuterAnswer>((resolve) => process.once('message', resolve));
  process.send?.(question);
  return answer;
}
