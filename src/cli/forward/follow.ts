// follow.ts: keeps forwards on a container that stops and runs again, as a new process in a new
// network namespace.

import {
  Forwarder,
  parsePortSpec,
  type Forward,
  type ForwardSpec,
  type SocketForwardSpec,
} from '../../index.js';
import { watchProcess, type ProcessWatch } from '../../system.js';
import type { EngineContainer } from '../running/engines.js';

const SEARCH_INTERVAL_MS = 500;
/**
 * Each answer of an engine costs a process and tens of milliseconds, and may be needed for days.
 */
const MAX_INTERVAL_MS = 5_000;

/** A forwarder whose new forwards lead to the container's present namespace. */
export class FollowingForwarder extends Forwarder {
  #netnsPath: string;

  constructor(options: ConstructorParameters<typeof Forwarder>[0] & { readonly path: string }) {
    const { path, ...own } = options;
    super({ ...own, netns: { path } });
    this.#netnsPath = path;
  }

  override add(spec: ForwardSpec | SocketForwardSpec | string): Promise<Forward> {
    return super.add(this.#placed(spec));
  }

  override addAll(
    specs: readonly (ForwardSpec | SocketForwardSpec | string)[],
  ): Promise<Forward[]> {
    return super.addAll(specs.map((spec) => this.#placed(spec)));
  }

  /**
   * Retargets the forwards of the present namespace to another one, which later forwards get too.
   */
  async follow(path: string): Promise<void> {
    const followers = this.list().filter(({ netnsPath }) => netnsPath === this.#netnsPath);
    if (followers.length > 0) {
      await this.retarget(
        followers.map(({ id }) => id),
        { netns: { path } },
      );
    }
    this.#netnsPath = path;
  }

  #placed(spec: ForwardSpec | SocketForwardSpec | string): ForwardSpec | SocketForwardSpec {
    const given = typeof spec === 'string' ? parsePortSpec(spec) : spec;
    return { netns: { path: this.#netnsPath }, ...given };
  }
}

/** What a {@link Follower} needs. */
export interface FollowerOptions {
  readonly name: string;
  readonly pid: number;
  readonly forwarder: Pick<FollowingForwarder, 'follow'>;
  /** Asks the engine; rejects while the container is not running. */
  readonly lookUp: (name: string) => Promise<EngineContainer>;
  readonly onEnded: () => void;
  readonly onBack: (container: EngineContainer) => void;
}

/** Watches the first process of a container. It does not keep this process alive. */
export class Follower implements Disposable {
  readonly #options: FollowerOptions;
  #process: ProcessWatch | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  /** @throws SpliceportSystemError before Linux 5.3 */
  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#process = watchProcess(options.pid, this.#onExit);
    if (this.#process === undefined) this.#onExit();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#process?.close();
    clearTimeout(this.#timer);
  }

  readonly #onExit = (): void => {
    this.#options.onEnded();
    this.#search(SEARCH_INTERVAL_MS);
  };

  #search(intervalMs: number): void {
    if (this.#isOver) return;
    const look = async (): Promise<void> => {
      const container = await this.#find();
      if (container === undefined) this.#search(Math.min(intervalMs * 2, MAX_INTERVAL_MS));
      else this.#options.onBack(container);
    };
    this.#timer = setTimeout(() => void look(), intervalMs).unref();
  }

  /** Undefined while it is not running, or cannot be reached. */
  async #find(): Promise<EngineContainer | undefined> {
    let found: ProcessWatch | undefined;
    try {
      const container = await this.#options.lookUp(this.#options.name);
      if (this.#isOver) return undefined;
      found = watchProcess(container.pid, this.#onExit);
      // An engine may report a process for a while after it has exited.
      if (found === undefined) return undefined;
      await this.#options.forwarder.follow(`/proc/${container.pid}/ns/net`);
      this.#process = found;
      return container;
    } catch {
      found?.close();
      return undefined;
    }
  }
}
