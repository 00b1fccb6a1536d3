// closing-watcher.ts: opens watchers whose callbacks refer to their owners, closes them, and tells
// which are still in memory.

import { openSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { binding } from '../../../src/engine/binding.js';
import { serve } from '../../helpers/rpc.js';

const WATCHERS = 100;

class Owner {
  readonly #watcher = new binding.FdWatcher(
    openSync('/proc/self/mounts', 'r'),
    () => this.close(),
    () => this.close(),
    true,
  );

  close(): void {
    this.#watcher.close();
  }
}

const handlers = {
  async closeMany(): Promise<{ watched: number; left: number }> {
    const owners = Array.from({ length: WATCHERS }, () => {
      const owner = new Owner();
      const seen = new WeakRef(owner);
      owner.close();
      return seen;
    });
    // A WeakRef keeps what it has been made for until the turn is over.
    await nextTurn();
    await nextTurn();
    globalThis.gc?.();
    const left = owners.filter((owner) => owner.deref() !== undefined).length;
    return { watched: owners.length, left };
  },
};

/** What the program serves to the test. */
export type ClosingWatcherApi = typeof handlers;

serve(handlers);
