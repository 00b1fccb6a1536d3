// throwing-events.ts: an engine whose events are met with exceptions, and that goes on after an
// uncaughtException.

import { closeSync, openSync } from 'node:fs';
import { binding, isNativeFailure, startEngine } from '../../../src/engine/binding.js';
import { resolveSingle } from '../../../src/spec/validate.js';
import { serve } from '../../helpers/rpc.js';
import { until } from '../../helpers/wait.js';

const netns = '/proc/self/ns/net';
const options = {
  workers: 2,
  acceptors: 1,
  spinMicros: 0,
  pipeCapacityBytes: 1 << 20,
  nearRttMicros: 500,
};
const { settings } = resolveSingle('0:1', netns);

const handlers = {
  /**
   * Removes three forwards at once, throws at each event but the last; what was caught, and whose
   * events came.
   */
  async remove(): Promise<{ caught: string[]; ids: number[] }> {
    const caught: string[] = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    const ids: number[] = [];
    const engine = startEngine(options, (event) => {
      const id = event.type === 'removed' ? event.id : 0;
      ids.push(id);
      if (id < 4) throw new Error(`event ${id}`);
    });
    const host = { protocol: 'tcp', address: '127.0.0.1', port: 0 } as const;
    const sockets = binding.openHostSockets([{ ...host, count: 4, ipv6Only: false }]);
    if (isNativeFailure(sockets)) throw new Error(`${sockets.syscall} failed`);
    const netnsFd = openSync(netns, 'r');
    const target = { netnsFd, address: '127.0.0.1', port: 1 };
    const owner = engine.openOwner(false);
    const own = { owner, firstId: 1, protocol: 'tcp', hostFds: sockets.fds, target } as const;
    engine.add([{ ...own, ...settings }]);
    closeSync(netnsFd);
    engine.remove([1, 2, 3], 0);
    await until(() => caught.length === 3, 'three exceptions');
    engine.remove([4], 0);
    await until(() => ids.length === 4, 'four events');
    engine.close();
    return { caught, ids };
  },
};

/** What the program serves to the test. */
export type ThrowingEventsApi = typeof handlers;

serve(handlers);
