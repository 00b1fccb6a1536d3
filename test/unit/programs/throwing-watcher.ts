// throwing-watcher.ts: watches a descriptor with a callback that throws, and goes on after an
// uncaughtException.

import { openSync } from 'node:fs';
import { binding } from '../../../src/engine/binding.js';
import { serve } from '../../helpers/rpc.js';

const handlers = {
  /**
   * Throws at the first two calls and ends at the third; what was caught, and how often it was
   * called.
   */
  watch(): Promise<{ caught: string[]; calls: number }> {
    const caught: string[] = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    return new Promise((resolve) => {
      let calls = 0;
      // Readable all the time.
      const watcher = new binding.FdWatcher(openSync('/proc/self/mounts', 'r'), () => {
        calls += 1;
        if (calls < 3) throw new Error(`call ${calls}`);
        watcher.close();
        resolve({ caught, calls });
      });
    });
  },
};

/** What the program serves to the test. */
export type ThrowingWatcherApi = typeof handlers;

serve(handlers);
