// on-demand.ts: runs a container only while somebody uses its ports: the first client starts it by
// a command, and it is stopped after some time without sessions. Clients wait in the meantime, by
// `waitForServerMs`.

import { watchProcess, type ProcessWatch } from '../../system.js';
import type { EngineContainer } from '../running/engines.js';
import type { FollowingForwarder } from './follow.js';
import type { OnDemandCommands } from './on-demand-options.js';
import type { ForwardEvent } from './reports.js';

/** How often a container that sleeps, and one that runs, is looked at. */
const SLEEPING_LOOK_MS = 100;
const RUNNING_LOOK_MS = 500;
/** From one look for a container that has been started to the next. */
const SEARCH_MS = 100;
/** After a start, so that a container that ends at once does not keep the machine busy. */
const SHORTEST_CYCLE_MS = 1_000;
/** A container may end a moment after the command that stops it. */
const STOP_MS = 10_000;

export type OnDemandEvent = Extract<ForwardEvent, { readonly container: string }>;

/** What an {@link OnDemand} needs. */
export interface OnDemandOptions {
  readonly name: string;
  readonly commands: OnDemandCommands;
  /** How long clients wait. */
  readonly waitMs: number;
  readonly forwarder: Pick<FollowingForwarder, 'follow' | 'stats'>;
  /** A namespace without servers, to which forwards lead while the container does not run. */
  readonly emptyNetnsPath: string;
  /** Asks the engine; rejects while the container is not running. */
  readonly lookUp: (name: string) => Promise<EngineContainer>;
  /** Runs a command line. @returns Its exit code. */
  readonly run: (command: string) => Promise<number>;
  readonly report: (event: OnDemandEvent) => void;
}

/** Starts and stops a container. It does not keep this process alive, nor stop the container. */
export class OnDemand implements Disposable {
  readonly #options: OnDemandOptions;
  #process: ProcessWatch | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  #wake: () => void = () => undefined;
  /** All clients so far, when the container was last known to serve them. */
  #seen = 0;

  constructor(options: OnDemandOptions) {
    this.#options = options;
    void this.#live();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#process?.close();
    clearTimeout(this.#timer);
    this.#wake();
  }

  async #live(): Promise<void> {
    // It may run already.
    await this.#find();
    while (!this.#isOver) {
      if (this.#process === undefined) await this.#sleep();
      else await this.#serve();
    }
  }

  async #sleep(): Promise<void> {
    while (!this.#isOver && this.#options.forwarder.stats().sessionsTotal === this.#seen) {
      await this.#pause(SLEEPING_LOOK_MS);
    }
    if (this.#isOver) return;
    this.#seen = this.#options.forwarder.stats().sessionsTotal;
    const started = performance.now();
    await this.#start();
    const left = SHORTEST_CYCLE_MS - (performance.now() - started);
    if (this.#process === undefined && left > 0) await this.#pause(left);
  }

  async #start(): Promise<void> {
    const { name, commands, waitMs } = this.#options;
    const started = performance.now();
    if (!(await this.#command('container-starting', commands.start))) return;
    while (!this.#isOver && !(await this.#find())) {
      if (performance.now() - started >= waitMs) {
        const reason = 'the container is not running after it';
        this.#tell({
          ...{ event: 'container-command-failed', container: name, command: commands.start },
          reason,
        });
        return;
      }
      await this.#pause(SEARCH_MS);
    }
  }

  /** Until it ends, or has been stopped. */
  async #serve(): Promise<void> {
    const { forwarder, commands } = this.#options;
    const { idleMs = Infinity } = commands;
    let activeAt = performance.now();
    while (!this.#isOver && this.#process !== undefined) {
      const { sessionsOpen, sessionsTotal } = forwarder.stats();
      if (sessionsOpen > 0 || sessionsTotal !== this.#seen) activeAt = performance.now();
      this.#seen = sessionsTotal;
      const idleFor = performance.now() - activeAt;
      if (idleFor >= idleMs) {
        await this.#stop();
        activeAt = performance.now();
      } else {
        await this.#pause(Math.min(RUNNING_LOOK_MS, idleMs - idleFor));
      }
    }
  }

  /** Clients that come from here on wait for the next start. */
  async #stop(): Promise<void> {
    const { forwarder, commands, emptyNetnsPath } = this.#options;
    await forwarder.follow(emptyNetnsPath);
    const { sessionsOpen, sessionsTotal } = forwarder.stats();
    const isUnused = sessionsOpen === 0 && sessionsTotal === this.#seen;
    if (isUnused && (await this.#command('container-stopping', commands.stop))) {
      const until = performance.now() + STOP_MS;
      while (!this.#isOver && this.#process !== undefined && performance.now() < until) {
        await this.#pause(SEARCH_MS);
      }
    }
    if (this.#isOver || this.#process === undefined) return;
    // It has not been stopped, so it goes on to serve.
    this.#process.close();
    this.#process = undefined;
    await this.#find();
  }

  /** @returns Whether it succeeded. */
  async #command(
    event: 'container-starting' | 'container-stopping',
    command: string,
  ): Promise<boolean> {
    const container = this.#options.name;
    this.#tell({ event, container, command });
    const code = await this.#options.run(command);
    if (code === 0) return true;
    this.#tell({
      ...{ event: 'container-command-failed', container, command },
      reason: `it has exited with ${code}`,
    });
    return false;
  }

  /** Leads the forwards to the container. @returns Whether it runs. */
  async #find(): Promise<boolean> {
    const { name, forwarder, lookUp } = this.#options;
    let found: ProcessWatch | undefined;
    try {
      const { id, pid } = await lookUp(name);
      if (this.#isOver) return false;
      found = watchProcess(pid, this.#onExit);
      // An engine may report a process for a while after it has exited.
      if (found === undefined) return false;
      await forwarder.follow(`/proc/${pid}/ns/net`);
      this.#process = found;
      this.#tell({ event: 'container-back', container: name, id, pid });
      return true;
    } catch {
      found?.close();
      return false;
    }
  }

  readonly #onExit = (): void => {
    this.#process = undefined;
    void this.#options.forwarder.follow(this.#options.emptyNetnsPath).catch(() => undefined);
    this.#tell({ event: 'container-ended', container: this.#options.name });
    this.#wake();
  };

  #tell(event: OnDemandEvent): void {
    if (!this.#isOver) this.#options.report(event);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, ms).unref();
      if (this.#isOver) resolve();
    });
  }
}
