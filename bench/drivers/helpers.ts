// helpers.ts: helpers of Podman's kind, one for each container, started by the load generator: Node
// takes as long to start a program as the fastest of them take to be ready.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../lab.js';
import { hold, type HeldLoad } from '../load.js';
import { killResidents, residents } from '../residents.js';
import type { ForwardRequest, Helpers } from '../types.js';
import { treeOf } from '../usage.js';
import type { Runnable } from '../root.js';

/** A helper's configuration, as Podman writes it, with a folder of its own for the container. */
export function helperConfig(
  netns: string,
  request: ForwardRequest,
  directory: string,
): Record<string, unknown> {
  return {
    Mappings: [
      {
        host_ip: request.hostAddress,
        host_port: request.hostPort,
        container_port: request.containerPort,
        range: request.count,
        protocol: request.protocol === 'both' ? 'tcp,udp' : request.protocol,
      },
    ],
    NetNSPath: netns,
    ExitFD: 3,
    ReadyFD: 4,
    TmpDir: directory,
    ChildIP: '127.0.0.1',
    ContainerID: nameOf(request),
    RootlessCNI: true,
  };
}

/** The container that a helper is for. */
export function nameOf(request: ForwardRequest): string {
  return request.name ?? 'benchmark';
}

/**
 * What the load generator reads: the program, its environment, and the configuration of each
 * helper.
 */
export function planText(
  { file, env }: Runnable,
  environment: NodeJS.ProcessEnv,
  configurations: readonly string[],
): string {
  const variables = Object.entries({ ...environment, ...env })
    .map(([name, value]) => `${name}=${value ?? ''}`)
    // A line is a variable: one with more lines is nothing that a helper asks for.
    .filter((variable) => !variable.includes('\n'));
  return [
    `program ${file}`,
    ...variables.map((variable) => `env ${variable}`),
    ...configurations.map((path) => `config ${path}`),
    '',
  ].join('\n');
}

function writeConfig(lab: Lab, request: ForwardRequest): string {
  const directory = lab.path(`helper-${nameOf(request)}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const config = helperConfig(lab.container.netns, request, directory);
  return lab.file(`config-${nameOf(request)}`, JSON.stringify(config));
}

/** Where each container's reload requests go. */
function reloadSocketOf(lab: Lab, request: ForwardRequest): string {
  return join(lab.path(`helper-${nameOf(request)}`), 'rp', nameOf(request));
}

/**
 * Starts a helper for each request; the plan and the configurations are written before the clock
 * runs.
 */
export async function startHelpers(
  lab: Lab,
  program: Runnable,
  requests: readonly ForwardRequest[],
  together: number,
): Promise<Helpers> {
  const [first] = requests;
  const last = requests.at(-1);
  if (first === undefined || last === undefined) throw new RangeError('Expected a request');
  const configs = requests.map((request) => writeConfig(lab, request));
  const environment = { ...process.env, ...lab.userFolders() };
  const plan = lab.file(`plan-${nameOf(first)}`, planText(program, environment, configs));
  const options = {
    plan,
    first: `${first.hostAddress}:${first.hostPort}`,
    last: `${last.hostAddress}:${last.hostPort + last.count - 1}`,
    protocol: first.protocol === 'udp' ? 'udp' : 'tcp',
    together,
  };
  try {
    const launcher = await hold(lab, [], 'launch', options, 'ready');
    return new Launched(lab, launcher, requests, first);
  } catch (error) {
    await killResidents();
    throw error;
  }
}

class Launched implements Helpers {
  readonly address: string;
  readonly port: number;
  readonly readyMs: number;
  readonly reloadSockets: readonly string[];
  readonly reloadSocket: string;
  readonly #launcher: HeldLoad;
  #ended: Promise<{ goneMs: number }> | undefined;

  constructor(
    lab: Lab,
    launcher: HeldLoad,
    requests: readonly ForwardRequest[],
    first: ForwardRequest,
  ) {
    this.address = first.hostAddress === '0.0.0.0' ? '127.0.0.1' : first.hostAddress;
    this.port = first.hostPort;
    this.readyMs = launcher.begun['readyMs'] ?? NaN;
    this.reloadSockets = requests.map((request) => reloadSocketOf(lab, request));
    this.reloadSocket = reloadSocketOf(lab, first);
    this.#launcher = launcher;
  }

  pids(): number[] {
    return [...this.ownPids(), ...residents()];
  }

  ownPids(): number[] {
    const { pid } = this.#launcher;
    return treeOf([pid]).filter((member) => member !== pid);
  }

  end(): Promise<{ goneMs: number }> {
    return (this.#ended ??= this.#launcher.finish().then(({ goneMs = NaN }) => ({ goneMs })));
  }

  async stop(): Promise<void> {
    try {
      await this.end();
    } finally {
      await this.#launcher.kill();
      await killResidents();
    }
  }
}
