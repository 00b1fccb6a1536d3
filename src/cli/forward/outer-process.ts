// outer-process.ts: what a process that reenter.ts has run knows of the one that ran it.

import type { EngineContainer } from '../running/engines.js';
import type { Target } from '../running/target.js';

/** Holds the target in JSON, which is not looked up a second time. */
const ENTERED_VARIABLE = 'SPLICEPORT_ENTERED_TARGET';

/** Variables for the process that is run again. */
export function enteredEnvironment(target: Target): NodeJS.ProcessEnv {
  return { [ENTERED_VARIABLE]: JSON.stringify(target) };
}

/** The target, when this process was run again. */
export function enteredTarget(): Target | undefined {
  const target = process.env[ENTERED_VARIABLE];
  return target === undefined ? undefined : (JSON.parse(target) as Target);
}

/** Settles when the process that ran this one again has gone; never when there is none. */
export function outerProcessEnds(): Promise<void> {
  return new Promise((resolve) => {
    if (enteredTarget() !== undefined) process.once('disconnect', resolve);
  });
}

/** Lets this process end although the other one is there. */
export function leaveOuterProcess(): void {
  if (enteredTarget() !== undefined && process.connected) process.disconnect();
}

/** What the process that was run again asks the other one: engines are root's within its user namespace. */
export interface OuterQuestion {
  readonly lookUp: string;
}

/** The answer; without a container where it does not run. */
export interface OuterAnswer {
  readonly container?: EngineContainer;
}

/** Asks the outer process for a container. One question at a time. */
export async function lookUpOutside(name: string): Promise<EngineContainer> {
  const answer = new Promise<OuterAnswer>((resolve) => process.once('message', resolve));
  process.send?.({ lookUp: name } satisfies OuterQuestion);
  const { container } = await answer;
  if (container === undefined) throw new Error(`no container ${name} is running`);
  return container;
}
