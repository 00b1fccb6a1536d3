// pasta.ts: passt's pasta. It attaches to the namespace and splices connections that come by the host's loopback.

import { Process, which } from '../process.js';
import type { Driver, ForwardRequest } from '../types.js';
import {
  awaitBound,
  awaitReady,
  type DriverSpec,
  packageVersion,
  protocolsOf,
  tunProblem,
} from './running.js';

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
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: true,
    both: true,
    reloads: false,
    missing: () =>
      which('pasta') ? tunProblem() : 'pasta is not installed: apt-get install passt',
    version: () => packageVersion('passt', 'pasta', '--version'),
    start: (lab, asked) => {
      lab.ensureUplink();
      const request =
        asked.protocol === 'tcp' ? asked : { ...asked, hostPort: asked.containerPort };
      const ports = protocolsOf(request).flatMap((protocol) => [
        protocol === 'tcp' ? '-t' : '-u',
        portSpec(request),
      ]);
      return awaitReady(request, () => ({
        process: new Process(
          ['pasta', '-f', '--runas', '0', ...ports].concat([
            '--netns',
            lab.container.netns,
            '--config-net',
            '-q',
          ]),
          { env: { ...process.env, ...spec.settings } },
        ),
        ready: awaitBound(request),
      }));
    },
  };
}
