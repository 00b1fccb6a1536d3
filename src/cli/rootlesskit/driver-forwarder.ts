// driver-forwarder.ts: the forwards of RootlessKit's ports. Where servers are to see their clients'
// addresses, a forward begins as an ordinary one into RootlessKit's namespace, and is replaced by
// one into the container as soon as that is known. So a port works whether or not it is found.

import { Forwarder, parsePortSpec } from '../../index.js';
import type { Forward, ForwardSpec, SocketForwardSpec } from '../../index.js';
import { Containers, type Backend } from './containers.js';

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
}

/** A forward whose container is not known yet. */
interface Pending {
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
  /** The forward that serves a port, by the one that it began with; and the reverse. */
  readonly #present = new Map<number, number>();
  readonly #first = new Map<number, number>();

  constructor(options: DriverOptions & ConstructorParameters<typeof Forwarder>[0]) {
    const { child, settingsFor, onUnseen, ...own } = options;
    super({ ...own, netns: { pid: child } });
    this.#options = { child, settingsFor, onUnseen };
    this.on('removed', ({ id }) => this.#forget(id));
  }

  override async add(given: ForwardSpec | SocketForwardSpec | string): Promise<Forward> {
    const wanted = typeof given === 'string' ? parsePortSpec(given) : given;
    if (!('port' in wanted.host)) return super.add(wanted);
    const spec = this.#options.settingsFor(wanted as ForwardSpec);
    if (spec.sourceAddress !== 'transparent') return super.add(spec);
    // With `--userland-proxy=false` dockerd translates addresses on the way into the container,
    // and its answers to clients' own addresses would leave by another way: the port would be dead.
    const forward = await super.add({ ...spec, sourceAddress: 'container' });
    this.#pending.set(forward.id, { forward, spec, sinceMs: performance.now() });
    // The newest is the most eager.
    clearTimeout(this.#timer);
    this.#lookAfter(EAGER_INTERVAL_MS);
    return forward;
  }

  /** The forward that serves a port now, by the id that RootlessKit's client was given. */
  forwardOf(portId: number): number | undefined {
    return this.#present.get(portId);
  }

  /** The id that RootlessKit's client was given. */
  portOf(forwardId: number): number | undefined {
    return this.#first.get(forwardId);
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
      const { id, protocol, container } = forward;
      const backend = containers.behind({ protocol, ...container });
      if (backend === undefined && nowMs - sinceMs < SEARCH_MS) {
        youngestMs = Math.min(youngestMs, nowMs - sinceMs);
        continue;
      }
      this.#pending.delete(id);
      if (backend === undefined) this.#options.onUnseen(forward);
      else await this.#replace(pending, backend);
    }
    clearTimeout(this.#timer);
    if (this.#pending.size === 0) return;
    this.#lookAfter(youngestMs < EAGER_MS ? EAGER_INTERVAL_MS : INTERVAL_MS);
  }

  /** Frees the port and opens it again in one turn of the loop. */
  async #replace({ forward: before, spec }: Pending, backend: Backend): Promise<void> {
    const { address, port, pid } = backend;
    const target = { container: { address, port }, netns: { path: `/proc/${pid}/ns/net` } };
    const removed = super.remove(before.id, { drainMs: DRAIN_MS });
    removed.catch(() => undefined); // The end of the forwarder ends its drains.
    try {
      const forward = await super.add({ ...spec, ...target });
      this.#keep(before, forward);
    } catch {
      // The container has just stopped, or may not be entered.
      this.#options.onUnseen(before);
      const again = super.add({ ...spec, sourceAddress: 'container' });
      await again.then(
        (forward) => this.#keep(before, forward),
        () => undefined,
      );
    }
  }

  #keep(before: Forward, { id }: Forward): void {
    this.#present.set(before.id, id);
    this.#first.set(id, before.id);
  }

  #forget(id: number): void {
    this.#pending.delete(id);
    const port = this.#first.get(id);
    if (port === undefined) return;
    this.#first.delete(id);
    this.#present.delete(port);
  }
}
