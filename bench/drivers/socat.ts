// socat.ts: socat with a process per connection, as its manual's examples do, to the container's
// address.

import type { Driver } from '../types.js';
import { Peer } from './peer.js';
import { awaitBound, awaitReady, type DriverSpec } from './running.js';

/** The fork option for both protocols. */
export function socat(spec: DriverSpec): Driver {
  const peer = new Peer(spec, { program: 'socat', package: 'socat', versionOption: '-V' });
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: false,
    both: false,
    reloads: false,
    missing: () => peer.missing(),
    version: () => peer.version(),
    origin: () => peer.origin(),
    start: (lab, request) => {
      const target = lab.addVeth();
      const kind = request.protocol.toUpperCase();
      const backlog = request.protocol === 'tcp' ? ',backlog=1024' : '';
      const start = peer.prepare(lab);
      return awaitReady(request, () => ({
        process: start([
          `${kind}4-LISTEN:${request.hostPort},bind=${request.hostAddress},fork,reuseaddr${backlog}`,
          `${kind}4:${target}:${request.containerPort}`,
        ]),
        ready: awaitBound(request),
      }));
    },
  };
}
