// add-forwards.ts: adds the forwards of a container with what the settings file says of them.

import { SpliceportError, SpliceportSystemError } from '../../index.js';
import type { ForwardSpec } from '../../index.js';
import type { ForwarderOperations } from '../../operations.js';
import type { HelperSettings } from './helper-settings.js';

/**
 * Adds forwards with their settings; with no more than their gates where the others cannot be had.
 */
export async function addWithSettings(
  forwarder: Pick<ForwarderOperations, 'addAll'>,
  specs: readonly ForwardSpec[],
  { specsFor, gatesFor, tell }: Pick<HelperSettings, 'gatesFor' | 'specsFor' | 'tell'>,
): Promise<void> {
  if (specs.length === 0) return;
  if (specsFor === undefined || gatesFor === undefined) {
    await forwarder.addAll(specs);
    return;
  }
  const [withAll, withGates] = [specsFor(specs), gatesFor(specs)];
  try {
    const forwards = await forwarder.addAll(withAll);
    for (const warning of new Set(forwards.map((forward) => forward.warning))) {
      if (warning !== undefined) tell(warning);
    }
  } catch (error) {
    if (error instanceof SpliceportSystemError && error.side === 'host') throw error;
    await addGated(forwarder, withGates);
    const { message } = error as Error;
    tell(`cannot apply the settings of forwards, except allow, deny and the like: ${message}`);
  }
}

/** Without its gates a forward would be open to those who are kept out, so it is not added then. */
async function addGated(
  forwarder: Pick<ForwarderOperations, 'addAll'>,
  specs: readonly ForwardSpec[],
): Promise<void> {
  try {
    await forwarder.addAll(specs);
  } catch (error) {
    if (error instanceof SpliceportError) throw error;
    const { message } = error as Error;
    throw new Error(
      `ports do not open without their settings of allow, deny and the like: ${message}`,
      {
        cause: error,
      },
    );
  }
}
