// docker-containers.ts: which of dockerd's containers a published port is of, by the files that
// dockerd keeps of each. They are there for every version, and reading them never waits for
// dockerd, which holds its locks while it waits for a proxy.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Protocol } from '../../index.js';

/** A published port, as dockerd gives it to its proxy. */
export interface DockerPort {
  readonly protocol: Protocol;
  readonly hostPort: number;
  readonly containerAddress: string;
  readonly containerPort: number;
}

/** What is known of a container. */
export interface DockerContainer {
  readonly id: string;
  readonly name: string;
}

interface Binding {
  readonly HostPort?: string;
}

/** Of config.v2.json, what is needed. */
interface StateFile {
  readonly ID?: string;
  readonly Name?: string;
  readonly State?: { readonly Running?: boolean };
  readonly NetworkSettings?: {
    readonly Ports?: Bindings | null;
    readonly Networks?: Readonly<Record<string, Endpoint | null>> | null;
  };
}
interface HostFile {
  readonly PortBindings?: Bindings | null;
}
type Bindings = Readonly<Record<string, readonly Binding[] | null>>;
interface Endpoint {
  readonly IPAddress?: string;
  readonly GlobalIPv6Address?: string;
}

interface Known {
  readonly changedMs: number;
  readonly state: StateFile;
  readonly host: HostFile;
}

const DEFAULT_ROOT = '/var/lib/docker';
/** Of many ports that are asked about at once, one reads the files. */
const MAX_AGE_MS = 500;

/** The containers of one dockerd. */
export class DockerContainers {
  readonly #folder: string;
  #known = new Map<string, Known>();
  #readAtMs = -Infinity;

  /** @param root - Its `--data-root`. */
  constructor(root: string) {
    this.#folder = `${root}/containers`;
  }

  /** The container that runs and has the port. */
  find({
    protocol,
    hostPort,
    containerAddress,
    containerPort,
  }: DockerPort): DockerContainer | undefined {
    const key = `${containerPort}/${protocol}`;
    const found = this.#all().find(
      ({ state: { State: { Running: runs = false } = {}, NetworkSettings: network = {} } }) =>
        runs &&
        hasPort(network.Ports?.[key] ?? [], hostPort) &&
        Object.values(network.Networks ?? {}).some((endpoint) =>
          hasAddress(endpoint, containerAddress),
        ),
    );
    return found && identify(found);
  }

  /**
   * The container that is about to run with the port. dockerd has written nothing of its address
   * yet; if several could have it, it is the one that was written last.
   */
  findStarting({ protocol, hostPort, containerPort }: DockerPort): DockerContainer | undefined {
    this.#readAtMs = -Infinity;
    const key = `${containerPort}/${protocol}`;
    const [last] = this.#all()
      .filter(
        ({ state: { State: { Running: runs = false } = {} }, host }) =>
          !runs && mayHavePort(host.PortBindings?.[key] ?? [], hostPort),
      )
      .sort((one, other) => other.changedMs - one.changedMs);
    return last && identify(last);
  }

  #all(): Known[] {
    const nowMs = performance.now();
    if (nowMs - this.#readAtMs > MAX_AGE_MS) {
      this.#readAtMs = nowMs;
      const before = this.#known;
      this.#known = new Map();
      for (const id of namesIn(this.#folder)) {
        const known = readKnown(`${this.#folder}/${id}`, before.get(id));
        if (known !== undefined) this.#known.set(id, known);
      }
    }
    return [...this.#known.values()];
  }
}

const byRoot = new Map<string, DockerContainers>();

/**
 * The containers of the dockerd that has started a process.
 * @param environment - Of the process: dockerd names its folder for what is temporary there.
 */
export function containersOf(environment: NodeJS.ProcessEnv): DockerContainers {
  const { TMPDIR: temporary = '' } = environment;
  const root = temporary.endsWith('/tmp') ? dirname(temporary) : DEFAULT_ROOT;
  let containers = byRoot.get(root);
  if (containers === undefined) byRoot.set(root, (containers = new DockerContainers(root)));
  return containers;
}

/** One that cannot be read is being made or removed. */
function readKnown(folder: string, before: Known | undefined): Known | undefined {
  try {
    const [state, host] = [`${folder}/config.v2.json`, `${folder}/hostconfig.json`];
    const changedMs = Math.max(statSync(state).mtimeMs, statSync(host).mtimeMs);
    if (before?.changedMs === changedMs) return before;
    return {
      changedMs,
      state: JSON.parse(readFileSync(state, 'utf8')) as StateFile,
      host: JSON.parse(readFileSync(host, 'utf8')) as HostFile,
    };
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function identify({ state: { ID: id = '', Name: name = '' } }: Known): DockerContainer {
  return { id, name: name.replace(/^\//, '') };
}

function hasAddress(endpoint: Endpoint | null, address: string): boolean {
  return endpoint?.IPAddress === address || endpoint?.GlobalIPv6Address === address;
}

function hasPort(bindings: readonly Binding[], port: number): boolean {
  return bindings.some(({ HostPort }) => Number(HostPort) === port);
}

/** What the user has asked for: a port, a range of which dockerd takes one, or any. */
function mayHavePort(bindings: readonly Binding[], port: number): boolean {
  return bindings.some(({ HostPort = '' }) => {
    if (HostPort === '' || HostPort === '0') return true;
    const [first = 0, last = first] = HostPort.split('-').map(Number);
    return first <= port && port <= last;
  });
}
