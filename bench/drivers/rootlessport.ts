// rootlessport.ts: the packaged rootlessport and spliceport, both spawned as Podman spawns its helper: the config on
// standard input, the exit and ready pipes as descriptors 3 and 4, standard output read for the error.

import { existsSync, mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join, resolve } from 'node:path';
import type { Duplex, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../lab.js';
import { Process, run } from '../process.js';
import type { Driver, ForwardRequest } from '../types.js';
import { awaitReady, type DriverSpec, type Launch, packageVersion } from './running.js';

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

function launchHelper(lab: Lab, request: ForwardRequest, file: string, spec: DriverSpec): Launch {
  const directory = lab.path('helper');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const process_ = new Process([file], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...spec.settings },
  });
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

function helperDriver(
  spec: DriverSpec,
  file: string,
  install: string,
  version: () => string,
): Driver {
  return {
    label: spec.label,
    kind: spec.kind,
    protocols: ['tcp', 'udp'],
    ranges: true,
    both: true,
    reloads: true,
    missing: () => (existsSync(file) ? undefined : `${file} is missing: ${install}`),
    version,
    start: (lab, request) => awaitReady(request, () => launchHelper(lab, request, file, spec)),
  };
}

/** The helper that Debian's Podman brings. */
export function rootlessport(spec: DriverSpec): Driver {
  const file = join(spec.path ?? '/usr/lib/podman', 'rootlessport');
  return helperDriver(spec, file, 'apt-get install podman', () =>
    packageVersion('podman', 'podman', '--version'),
  );
}

/** This project, or another build of it: `spliceport=/path/to/libexec`. */
export function spliceport(spec: DriverSpec): Driver {
  const file = resolve(spec.path ?? join(PROJECT, 'libexec'), 'rootlessport');
  return helperDriver(spec, file, 'npm run build', () => revisionOf(dirname(file)));
}

/** The commit that a folder of a build belongs to. */
export function revisionOf(folder: string): string {
  try {
    return run('git', '-C', join(folder, '..'), 'log', '-1', '--format=%h of %cs').trim();
  } catch {
    return 'unknown revision';
  }
}
