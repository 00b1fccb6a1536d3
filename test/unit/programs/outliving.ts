// outliving.ts: has a fault in a callback and in a promise that nobody waits for, as a helper that
// is ready.

import { outlive } from '../../../src/engines/podman/last-words.js';
import { serve } from '../../helpers/rpc.js';

const told: string[] = [];
outlive((problem) => told.push(problem));

const handlers = {
  /** What has been told once the fault is over. */
  fault(kind: 'callback' | 'promise'): Promise<string[]> {
    if (kind === 'promise') void Promise.reject(new Error('a rejected promise'));
    return new Promise((resolve) => {
      setImmediate(() => {
        setImmediate(() => resolve(told));
        if (kind === 'callback') throw new Error('a callback that throws');
      });
    });
  },
};

/** What the program serves to the test. */
export type OutlivingApi = typeof handlers;

serve(handlers);
