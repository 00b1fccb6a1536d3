// haproxy.ts: HAProxy in TCP mode with a server in another namespace, and splicing where it sees
// fit.

import { availableParallelism } from 'node:os';
import type { Driver, ForwardRequest } from '../types.js';
import { Peer } from './peer.js';
import { awaitBound, awaitReady, type DriverSpec } from './running.js';

// Two descriptors per connection, two per pipe and one per port, within the usual limit of 20,000.
const MAX_CONNECTIONS = 9_200;
const MAX_PIPES = 600;

function configuration(request: ForwardRequest, namespace: string): string {
  const last = request.hostPort + request.count - 1;
  const bind = `${request.hostAddress}:${request.hostPort}${request.count > 1 ? `-${last}` : ''}`;
  // A server without a port number of its own takes the client's port, shifted.
  const shift = request.containerPort - request.hostPort;
  const server = request.count > 1 ? `+${shift}`.replace('+-', '-') : String(request.containerPort);
  return `global
  maxconn ${MAX_CONNECTIONS - request.count}
  maxpipes ${MAX_PIPES}
  nbthread ${availableParallelism()}
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen forward
  bind ${bind}
  server container 127.0.0.1:${server} namespace ${namespace}
`;
}

/** In the foreground, with a thread per processor. */
export function haproxy(spec: DriverSpec): Driver {
  const peer = new Peer(spec, { program: 'haproxy', package: 'haproxy', versionOption: '-v' });
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp'],
    ranges: true,
    both: false,
    reloads: false,
    missing: () => peer.missing(),
    version: () => peer.version(),
    origin: () => peer.origin(),
    start: (lab, request) => {
      const file = lab.file('haproxy.cfg', configuration(request, lab.container.name));
      const start = peer.prepare(lab);
      return awaitReady(request, () => ({
        process: start(['-db', '-f', file]),
        ready: awaitBound(request),
      }));
    },
  };
}
