// socat.ts: socat with a process per connection, as its manual's examples do, to the container's address.

import { Process, which } from '../process.js';
import type { Driver } from '../types.js';
import { awaitBound, awaitReady, type DriverSpec, packageVersion } from './running.js';

/** The fork option for both protocols. */
export function socat(spec: DriverSpec): Driver {
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: false,
    both: false,
    reloads: false,
    missing: () => (which('socat') ? undefined : 'socat is not installed: apt-get install socat'),
    version: () => packageVersion('socat', 'socat', '-V'),
    start: (lab, request) => {
      const target = lab.addVeth();
      const kind = request.protocol.toUpperCase();
      const backlog = request.protocol === 'tcp' ? ',backlog=1024' : '';
      return awaitReady(request, () => ({
        process: new Process(
          [
            'socat',
            `${kind}4-LISTEN:${request.hostPort},bind=${request.hostAddress},fork,reuseaddr${backlog}`,
            `${kind}4:${target}:${request.containerPort}`,
          ],
          { env: { ...process.env, ...spec.settings } },
        ),
        ready: awaitBound(request),
      }));
    },
  };
}
