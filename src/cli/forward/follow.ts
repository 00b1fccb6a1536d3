// follow.ts: keeps forwards on a container that stops and runs again, as a new process in a new
// network namespace.

import { readFileSync } from 'node:fs';
import {
  Forwarder,
  parsePortSpec,
  type Forward,
  type ForwardSpec,
  type SocketForwardSpec,
} from '../../index.js';
import type { EngineContainer } from '../running/engines.js';

const LOOK_INTERVAL_MS = 500;
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
  #pid: number;
  /** Distinguishes the process from a later one with the same pid. */
  #identity: string | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#pid = options.pid;
    this.#identity = identityOf(options.pid);
    this.#watch();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #watch(): void {
    this.#after(LOOK_INTERVAL_MS, () => {
      if (this.#identity !== undefined && identityOf(this.#pid) === this.#identity) {
        this.#watch();
        return;
      }
      this.#options.onEnded();
      this.#search(LOOK_INTERVAL_MS);
    });
  }

  #search(intervalMs: number): void {
    this.#after(intervalMs, () => {
      void this.#find().then((container) => {
        if (this.#isOver) return;
        if (container === undefined) {
          this.#search(Math.min(intervalMs * 2, MAX_INTERVAL_MS));
          return;
        }
        this.#options.onBack(container);
        this.#watch();
      });
    });
  }

  /** Undefined while it is not running, or cannot be reached. */
  async #find(): Promise<EngineContainer | undefined> {
    try {
      const container = await this.#options.lookUp(this.#options.name);
      const identity = identityOf(container.pid);
      // An engine may report a process for a while after it has exited.
      if (this.#isOver || identity === undefined) return undefined;
      await this.#options.forwarder.follow(`/proc/${container.pid}/ns/net`);
      this.#pid = container.pid;
      this.#identity = identity;
      return container;
    } catch {
      return undefined;
    }
  }

  #after(delayMs: number, work: () => void): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(work, delayMs).unref();
  }
}

/**
 * The time at which a process started; undefined once it has exited, even if nobody has waited for
 * it yet.
 */
function identityOf(pid: number): string | undefined {
  try {
    // The name before it is in parentheses and may contain any character. @see proc_pid_stat(5)
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    const [state = 'X'] = fields;
    return 'ZX'.includes(state) ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
