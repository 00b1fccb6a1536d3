// driver-forwarder.ts: the forwards of RootlessKit's ports. Where servers are to see their clients'
// addresses, a forward begins as an ordinary one into RootlessKit's namespace, and is replaced by
// one into the container as soon as that is known. So a port works whether or not it is found.

import { Forwarder, parsePortSpec } from '../../index.js';
import type {
  Endpoint,
  Forward,
  ForwardSpec,
  SocketForwardSpec,
  SpliceportError,
} from '../../index.js';
import { Containers, type Backend } from './containers.js';
import type { KeptPort } from './kept-ports.js';

/** Dockerd asks for a port a moment before it starts docker-proxy and the container. */
const EAGER_MS = 5_000;
const EAGER_INTERVAL_MS = 50;
const INTERVAL_MS = 1_000;
/** For a container whose image is slow to start. */
const SEARCH_MS = 60_000;
/** How long sessions of a forward that was replaced may continue. */
const DRAIN_MS = 3_600_000;

/** What the driver needs of its surroundings. */
export interface DriverOptions {
  /** The process that RootlessKit has started in its namespaces. */
  readonly child: number;
  /** Gives a forward its settings. */
  readonly settingsFor: (spec: ForwardSpec) => ForwardSpec;
  /** Called with a port whose server sees no clients' addresses although they are wanted. */
  readonly onUnseen: (forward: Forward) => void;
  /** Called with all ports when they have changed, but not for the end of the forwarder. */
  readonly onPorts: (ports: readonly KeptPort[]) => void;
}

/** A port as RootlessKit's client asked for it. */
interface Port extends KeptPort {
  readonly container: Endpoint;
  /** The forward that serves it now. */
  readonly forwardId: number;
  /** Whether an earlier driver was asked for it, and not this one. */
  readonly isRestored: boolean;
}

/** A port whose container is not known yet. */
interface Pending {
  readonly id: number;
  readonly forward: Forward;
  /** As it is to be once it leads into the container. */
  readonly spec: ForwardSpec;
  readonly sinceMs: number;
}

/** A forwarder that is a port driver of RootlessKit. */
export class DriverForwarder extends Forwarder {
  readonly #options: DriverOptions;
  readonly #pending = new Map<number, Pending>();
  #timer: NodeJS.Timeout | undefined;
  readonly #ports = new Map<number, Port>();
  /** By the forwards that serve them. */
  readonly #portIds = new Map<number, number>();
  #lastId = 0;

  constructor(options: DriverOptions & ConstructorParameters<typeof Forwarder>[0]) {
    const { child, settingsFor, onUnseen, onPorts, ...own } = options;
    super({ ...own, netns: { pid: child } });
    this.#options = { child, settingsFor, onUnseen, onPorts };
    this.on('removed', ({ id }) => this.#forget(id));
  }

  override async add(given: ForwardSpec | SocketForwardSpec | string): Promise<Forward> {
    const wanted = typeof given === 'string' ? parsePortSpec(given) : given;
    if (!('port' in wanted.host)) return super.add(wanted);
    const spec = wanted as ForwardSpec;
    return this.#addPort(spec).catch(async (error: unknown) => {
      // What was removed while there was no driver is restored all the same, and is then in the
      // way.
      const { forwardId } = error as SpliceportError;
      const port = this.#ports.get(this.#portIds.get(forwardId ?? 0) ?? 0);
      if (port?.isRestored !== true) throw error;
      await super.remove(port.forwardId);
      return this.#addPort(spec);
    });
  }

  override async addAll(
    given: readonly (ForwardSpec | SocketForwardSpec | string)[],
  ): Promise<Forward[]> {
    const forwards = await super.addAll(given);
    for (const { id, protocol, host, container } of forwards) {
      const spec = { protocol, host: { address: host.address, port: host.port }, container };
      this.#keep({ id: (this.#lastId += 1), spec, container, forwardId: id, isRestored: false });
    }
    return forwards;
  }

  /**
   * Opens ports again that an earlier driver of this RootlessKit had.
   * @returns Why some of them could not be.
   */
  async restore(ports: readonly KeptPort[]): Promise<string[]> {
    const failures: string[] = [];
    for (const { id, spec } of ports) {
      this.#lastId = Math.max(this.#lastId, id);
      await this.#addPort(spec, id).catch((error: unknown) => {
        failures.push((error as Error).message);
      });
    }
    return failures;
  }

  /** The forward that serves a port now, by the id that RootlessKit's client was given. */
  forwardOf(portId: number): number | undefined {
    return this.#ports.get(portId)?.forwardId;
  }

  /** The port that a forward serves, as RootlessKit's client asked for it. */
  portOf(forwardId: number): Pick<Forward, 'id' | 'container'> | undefined {
    return this.#ports.get(this.#portIds.get(forwardId) ?? 0);
  }

  async #addPort(wanted: ForwardSpec, restoredId?: number): Promise<Forward> {
    const spec = this.#options.settingsFor(wanted);
    const isTransparent = spec.sourceAddress === 'transparent';
    // With `--userland-proxy=false` dockerd translates addresses on the way into the container,
    // and its answers to clients' own addresses would leave by another way: the port would be dead.
    const forward = await super.add(isTransparent ? { ...spec, sourceAddress: 'container' } : spec);
    const kept = { ...wanted, host: { ...wanted.host, port: forward.host.port } };
    const { container, id: forwardId } = forward;
    const id = restoredId ?? (this.#lastId += 1);
    const isRestored = restoredId !== undefined;
    this.#keep({ id, spec: kept, container, forwardId, isRestored });
    if (isTransparent) this.#search({ id, forward, spec, sinceMs: performance.now() });
    return forward;
  }

  #search(pending: Pending): void {
    this.#pending.set(pending.forward.id, pending);
    // The newest is the most eager.
    clearTimeout(this.#timer);
    this.#lookAfter(EAGER_INTERVAL_MS);
  }

  #lookAfter(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#look(), delayMs).unref();
  }

  async #look(): Promise<void> {
    if (this.closed) return;
    const containers = new Containers(this.#options.child);
    const nowMs = performance.now();
    let youngestMs = Infinity;
    for (const pending of this.#pending.values()) {
      const { forward, sinceMs } = pending;
      const { protocol, container } = forward;
      const backend = containers.behind({ protocol, ...container });
      if (backend === undefined && nowMs - sinceMs < SEARCH_MS) {
        youngestMs = Math.min(youngestMs, nowMs - sinceMs);
        continue;
      }
      this.#pending.delete(forward.id);
      if (backend === undefined) this.#options.onUnseen(forward);
      else await this.#replace(pending, backend);
    }
    clearTimeout(this.#timer);
    if (this.#pending.size === 0) return;
    this.#lookAfter(youngestMs < EAGER_MS ? EAGER_INTERVAL_MS : INTERVAL_MS);
  }

  /** Frees the port and opens it again in one turn of the loop. */
  async #replace({ id, forward: before, spec }: Pending, backend: Backend): Promise<void> {
    const port = this.#ports.get(id);
    if (port === undefined) return;
    const { address, port: containerPort, pid } = backend;
    const container = { address, port: containerPort };
    const target = { container, netns: { path: `/proc/${pid}/ns/net` } };
    this.#portIds.delete(before.id);
    const removed = super.remove(before.id, { drainMs: DRAIN_MS });
    removed.catch(() => undefined); // The end of the forwarder ends its drains.
    try {
      const { id: forwardId } = await super.add({ ...spec, ...target });
      this.#keep({ ...port, forwardId });
    } catch {
      // The container has just stopped, or may not be entered.
      this.#options.onUnseen(before);
      const again = super.add({ ...spec, sourceAddress: 'container' });
      await again.then(
        ({ id: forwardId }) => this.#keep({ ...port, forwardId }),
        () => this.#drop(id),
      );
    }
  }

  #keep(port: Port): void {
    this.#ports.set(port.id, port);
    this.#portIds.set(port.forwardId, port.id);
    this.#tell();
  }

  #forget(forwardId: number): void {
    this.#pending.delete(forwardId);
    const id = this.#portIds.get(forwardId);
    if (id === undefined) return;
    this.#portIds.delete(forwardId);
    this.#drop(id);
  }

  #drop(id: number): void {
    this.#ports.delete(id);
    this.#tell();
  }

  #tell(): void {
    if (this.closed) return;
    this.#options.onPorts([...this.#ports.values()].map(({ id, spec }) => ({ id, spec })));
  }
}
