// pasta.ts: passt's pasta. It attaches to the namespace and splices connections that come by the
// host's loopback.

import type { Driver, ForwardRequest } from '../types.js';
import { Peer } from './peer.js';
import { awaitBound, awaitReady, type DriverSpec, protocolsOf, tunProblem } from './running.js';

function portSpec(request: ForwardRequest): string {
  const range = (first: number): string =>
    request.count === 1 ? String(first) : `${first}-${first + request.count - 1}`;
  return `${request.hostAddress}/${range(request.hostPort)}:${range(request.containerPort)}`;
}

/**
 * As users run it, with one forwarded port (or range).
 * Versions of 2023 answer UDP clients from the container's port number, so both sides get the same.
 */
export function pasta(spec: DriverSpec): Driver {
  const peer = new Peer(spec, { program: 'pasta', package: 'passt', versionOption: '--version' });
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: true,
    both: true,
    reloads: false,
    missing: () => peer.missing() ?? tunProblem(),
    version: () => peer.version(),
    origin: () => peer.origin(),
    start: (lab, asked) => {
      lab.ensureUplink();
      const request =
        asked.protocol === 'tcp' ? asked : { ...asked, hostPort: asked.containerPort };
      const ports = protocolsOf(request).flatMap((protocol) => [
        protocol === 'tcp' ? '-t' : '-u',
        portSpec(request),
      ]);
      const start = peer.prepare(lab);
      const place = ['--netns', lab.container.netns, '--config-net'];
      return awaitReady(request, () => ({
        process: start(['-f', '--runas', '0', ...ports, ...place, '-q']),
        ready: awaitBound(request),
      }));
    },
  };
}
