// docker-proxy.ts: dockerd's userland proxy, Docker's or this project's
// (`docker-proxy:ours=libexec`), which reaches the container by its address behind a bridge or,
// this project's, enters it.

import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Driver } from '../types.js';
import { Peer } from './peer.js';
import { awaitReady, type DriverSpec } from './running.js';

/** With the arguments and descriptors that dockerd gives it. */
export function dockerProxy(spec: DriverSpec): Driver {
  const peer = new Peer(spec, {
    program: 'docker-proxy',
    package: 'docker.io',
    versionOption: '--version',
  });
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
      const target = lab.addBridge();
      const start = peer.prepare(lab);
      return awaitReady(request, () => {
        const process_ = start(
          ['-proto', request.protocol]
            .concat(['-host-ip', request.hostAddress, '-host-port', String(request.hostPort)])
            .concat(['-container-ip', target, '-container-port', String(request.containerPort)]),
          ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
        );
        return { process: process_, ready: once(process_.child.stdio[3] as Duplex, 'data') };
      });
    },
  };
}
