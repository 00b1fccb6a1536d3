// rootlessport.ts: the packaged rootlessport and spliceport, both spawned as Podman spawns its
// helper: the config on standard input, the exit and ready pipes as descriptors 3 and 4, standard
// output read for the error.

import { existsSync, mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join, resolve } from 'node:path';
import type { Duplex, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../lab.js';
import { Process, run } from '../process.js';
import type { Driver, ForwardRequest } from '../types.js';
import { Peer, type Start } from './peer.js';
import { awaitReady, type DriverSpec, type Launch } from './running.js';

const CONTAINER_ID = 'benchmark';
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

function helperConfig(lab: Lab, request: ForwardRequest, directory: string): string {
  return JSON.stringify({
    Mappings: [
      {
        host_ip: request.hostAddress,
        host_port: request.hostPort,
        container_port: request.containerPort,
        range: request.count,
        protocol: request.protocol === 'both' ? 'tcp,udp' : request.protocol,
      },
    ],
    NetNSPath: lab.container.netns,
    ExitFD: 3,
    ReadyFD: 4,
    TmpDir: directory,
    ChildIP: '127.0.0.1',
    ContainerID: CONTAINER_ID,
    RootlessCNI: true,
  });
}

function launchHelper(lab: Lab, request: ForwardRequest, start: Start): Launch {
  const directory = lab.path('helper');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const process_ = start([], ['pipe', 'pipe', 'pipe', 'pipe', 'pipe']);
  const { child } = process_;
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(helperConfig(lab, request, directory));
  return {
    process: process_,
    ready: once(child.stdio[4] as Duplex, 'data'),
    ask: () => {
      (child.stdio[3] as Writable).destroy();
    },
    reloadSocket: join(directory, 'rp', CONTAINER_ID),
  };
}

type HelperProgram = Pick<Driver, 'missing' | 'version' | 'origin'> & {
  readonly prepare: (lab: Lab) => Start;
};

function helperDriver(spec: DriverSpec, program: HelperProgram): Driver {
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: true,
    both: true,
    reloads: true,
    missing: () => program.missing(),
    version: () => program.version(),
    origin: () => program.origin(),
    start: (lab, request) => {
      const start = program.prepare(lab);
      return awaitReady(request, () => launchHelper(lab, request, start));
    },
  };
}

/** The helper that Debian's Podman brings. */
export function rootlessport(spec: DriverSpec): Driver {
  return helperDriver(spec, new Peer(spec, { program: 'rootlessport', package: 'podman' }));
}

/** This project, or another build of it: `spliceport=/path/to/libexec`. */
export function spliceport(spec: DriverSpec): Driver {
  const file = resolve(spec.path ?? join(PROJECT, 'libexec'), 'rootlessport');
  return helperDriver(spec, {
    missing: () => (existsSync(file) ? undefined : `${file} is missing: npm run build`),
    version: () => revisionOf(dirname(file)),
    origin: () => originOf(spec),
    prepare: () => (args, stdio) =>
      new Process([file, ...args], {
        ...(stdio === undefined ? {} : { stdio }),
        env: { ...process.env, ...spec.settings },
      }),
  });
}

/** Where a build of this project is from. */
export function originOf(spec: DriverSpec): string {
  return spec.path === undefined ? 'this checkout' : resolve(spec.path);
}

/** The commit that a folder of a build belongs to. */
export function revisionOf(folder: string): string {
  try {
    return run('git', '-C', join(folder, '..'), 'log', '-1', '--format=%h of %cs').trim();
  } catch {
    return 'unknown revision';
  }
}
