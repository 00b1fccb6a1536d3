// docker-proxy.ts: dockerd's userland proxy, which reaches the container by its address on a veth pair.

import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { Process, which } from '../process.js';
import type { Driver } from '../types.js';
import { awaitReady, type DriverSpec, packageVersion } from './running.js';

/** With the arguments and descriptors that dockerd gives it. */
export function dockerProxy(spec: DriverSpec): Driver {
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: false,
    both: false,
    reloads: false,
    missing: () =>
      which('docker-proxy')
        ? undefined
        : 'docker-proxy is not installed: apt-get install docker.io',
    version: () => packageVersion('docker.io', 'docker-proxy', '--version'),
    start: (lab, request) => {
      const target = lab.addVeth();
      return awaitReady(request, () => {
        const process_ = new Process(
          ['docker-proxy', '-proto', request.protocol]
            .concat(['-host-ip', request.hostAddress, '-host-port', String(request.hostPort)])
            .concat(['-container-ip', target, '-container-port', String(request.containerPort)]),
          {
            stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
            env: { ...process.env, ...spec.settings },
          },
        );
        return { process: process_, ready: once(process_.child.stdio[3] as Duplex, 'data') };
      });
    },
  };
}
