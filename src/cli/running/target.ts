// target.ts: from --netns, --pid or --container to the network namespace that forwards lead to.

import { CliFailure, exitCodes, usageFailure } from '../failure.js';
import { processExists } from './processes.js';

/** The options that select a container; one of them is set. */
export interface TargetOptions {
  readonly netns?: string;
  readonly pid?: number;
  readonly container?: string;
}

/** The namespace that forwards lead to. */
export interface Target {
  readonly netnsPath: string;
  /** A process in it, if one is known. */
  readonly pid?: number;
  /** The container's id, if an engine has reported it. */
  readonly containerId?: string;
}

/**
 * Finds the namespace.
 * @throws CliFailure if there is no such process or container, or none is given.
 */
export async function resolveTarget({ netns, pid, container }: TargetOptions): Promise<Target> {
  if (netns !== undefined) return { netnsPath: netns };
  if (pid !== undefined) return targetOf(pid, `there is no process ${pid}`);
  if (container === undefined) {
    throw usageFailure('no container given', 'Give --container NAME, --pid PID or --netns PATH.');
  }
  const { findContainer } = await import('./engines.js');
  const { id, pid: first } = await findContainer(container);
  const problem = `process ${first} of container ${container} is not on this machine`;
  const hint = 'A container in a virtual machine cannot be reached from outside that machine.';
  return { ...targetOf(first, problem, hint), containerId: id };
}

function targetOf(
  pid: number,
  problem: string,
  hint = 'It may have exited. "ps -e" lists the processes.',
): Target {
  if (processExists(pid)) return { netnsPath: `/proc/${pid}/ns/net`, pid };
  throw new CliFailure(exitCodes.notFound, problem, { hint });
}
