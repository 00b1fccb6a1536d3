// direct.ts: the upper limit: the client inside the container's namespace, without a forwarder.

import { run } from '../process.js';
import type { Driver } from '../types.js';
import type { DriverSpec } from './running.js';

/** No forwarder at all. */
export function direct(spec: DriverSpec): Driver {
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: false,
    both: true,
    reloads: false,
    missing: () =>
      spec.path === undefined ? undefined : `${spec.kind} runs no program: it takes no folder`,
    version: () => `Linux ${run('uname', '-r').trim()}`,
    origin: () => 'this machine',
    start: (lab, request) =>
      Promise.resolve({
        address: '127.0.0.1',
        port: request.containerPort,
        clientNetns: lab.container.netns,
        readyMs: 0,
        pids: () => [],
        stop: () => Promise.resolve(),
      }),
  };
}
