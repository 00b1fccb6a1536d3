// changes.ts: what those report who report what happens to the forwards of a forwarder.

import type { Forward } from '../index.js';
import type { ForwarderOperations } from '../operations.js';

/** What can happen to a forward. */
export type ChangeEvent = 'added' | 'removed' | 'retargeted';

/** Calls back at each change; what it returns ends that, and may be called twice. */
export function followChanges(
  forwarder: Pick<ForwarderOperations, 'off' | 'on'>,
  tell: (event: ChangeEvent, forward: Forward) => void,
): () => void {
  const added = (forward: Forward): void => tell('added', forward);
  const removed = (forward: Forward): void => tell('removed', forward);
  const retargeted = (forward: Forward): void => tell('retargeted', forward);
  forwarder.on('added', added).on('removed', removed).on('retargeted', retargeted);
  return () => {
    forwarder.off('added', added).off('removed', removed).off('retargeted', retargeted);
  };
}
