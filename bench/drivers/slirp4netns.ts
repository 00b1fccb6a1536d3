// slirp4netns.ts: slirp4netns with a host forward, asked for by its API socket as Podman's
// `slirp4netns:port_handler=slirp4netns` does.

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Lab } from '../lab.js';
import type { Driver, ForwardRequest } from '../types.js';
import { Peer, type Start } from './peer.js';
import { awaitReady, type DriverSpec, type Launch, protocolsOf, tunProblem } from './running.js';

const GUEST_ADDRESS = '10.0.2.100';

async function addForward(
  socketPath: string,
  proto: 'tcp' | 'udp',
  request: ForwardRequest,
): Promise<void> {
  const socket = connect(socketPath);
  socket.end(
    JSON.stringify({
      execute: 'add_hostfwd',
      arguments: {
        proto,
        host_addr: request.hostAddress,
        host_port: request.hostPort,
        guest_addr: GUEST_ADDRESS,
        guest_port: request.containerPort,
      },
    }),
  );
  const [reply] = (await once(socket, 'data')) as [Buffer];
  if (reply.includes('error')) throw new Error(`slirp4netns said: ${reply.toString()}`);
}

/**
 * With Podman's settings, but for the host's loopback, which it hides: replies to UDP clients there
 * would be lost.
 */
export function slirp4netns(spec: DriverSpec): Driver {
  const peer = new Peer(spec, {
    program: 'slirp4netns',
    package: 'slirp4netns',
    versionOption: '--version',
  });
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: false,
    both: true,
    reloads: false,
    missing: () => peer.missing() ?? tunProblem(),
    version: () => peer.version(),
    origin: () => peer.origin(),
    start: (lab, request) => {
      const start = peer.prepare(lab);
      return awaitReady(request, () => launch(lab, request, start));
    },
  };
}

function launch(lab: Lab, request: ForwardRequest, start: Start): Launch {
  const socketPath = lab.path('slirp4netns.sock');
  const process_ = start(
    ['--configure', '--mtu=65520', '--ready-fd=3', '--exit-fd=4'].concat([
      `--api-socket=${socketPath}`,
      '--netns-type=path',
      lab.container.netns,
      'tap0',
    ]),
    ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  );
  const ready = once(process_.child.stdio[3] as Duplex, 'data').then(async () => {
    for (const proto of protocolsOf(request)) await addForward(socketPath, proto, request);
  });
  return {
    process: process_,
    ready,
    ask: () => {
      (process_.child.stdio[4] as Duplex).destroy();
    },
  };
}
