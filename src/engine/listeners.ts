// listeners.ts: calls those who listen to a forwarder's events. Node's own EventEmitter would need
// Node's types in the public ones, and would pass on what a listener throws to the call that caused
// the event.

import { getSystemErrorName } from 'node:util';
import { invalidArgType } from '../errors.js';
import { choice } from '../spec/check.js';
import type { NativeConnectFailure } from './binding.js';
import { NamedProcesses } from './named-processes.js';
import type { Forward, ForwarderEvents } from '../types/forwards.js';

type Listener = (...args: readonly never[]) => unknown;

/** Processes that are watched only once somebody listens for their exits. */
interface LateWatch {
  /** Whether pids are those of this process's own namespace. */
  sharesPids(): boolean;
  /** The forwards that there are by then. */
  active(): readonly Forward[];
}

export class Listeners {
  readonly #byEvent: Readonly<Record<keyof ForwarderEvents, Set<Listener>>> = {
    added: new Set(),
    removed: new Set(),
    retargeted: new Set(),
    warning: new Set(),
    failed: new Set(),
    exited: new Set(),
  };
  #late: LateWatch | undefined;
  #processes: NamedProcesses | undefined;

  /** @param late - Undefined: processes are watched at once. */
  constructor(late?: LateWatch) {
    this.#late = late;
    if (late === undefined) this.#watch([]);
  }

  /** @throws TypeError or RangeError, for an event that there is not among them */
  add(event: keyof ForwarderEvents, listener: Listener): void {
    this.#of(event, listener).add(listener);
    if (event !== 'exited' || this.#late === undefined) return;
    if (this.#late.sharesPids()) this.#watch(this.#late.active());
    this.#late = undefined;
  }

  remove(event: keyof ForwarderEvents, listener: Listener): void {
    this.#of(event, listener).delete(listener);
  }

  tellOfAdded(forwards: readonly Forward[]): void {
    for (const forward of forwards) {
      this.#processes?.add(forward);
      this.#tell('added', forward);
      this.#tellOfWarning(forward);
    }
  }

  tellOfRetargeted(
    changes: readonly { readonly forward: Forward; readonly before: Forward }[],
  ): void {
    for (const { forward, before } of changes) {
      this.#processes?.add(forward);
      if (forward.netnsPath !== before.netnsPath) this.#processes?.remove(before);
      this.#tell('retargeted', forward, before);
      this.#tellOfWarning(forward);
    }
  }

  tellOfRemoved(removed: readonly { readonly forward: Forward }[]): void {
    for (const { forward } of removed) {
      this.#processes?.remove(forward);
      this.#tell('removed', forward);
    }
  }

  /** For forwards that end without a word. */
  forget(ended: readonly { readonly forward: Forward }[]): void {
    for (const { forward } of ended) this.#processes?.remove(forward);
  }

  /** @param forward - Undefined if it takes no clients any more. */
  tellOfFailure(forward: Forward | undefined, { ending, errno }: NativeConnectFailure): void {
    if (forward === undefined) return;
    const error = errno === undefined ? {} : { error: getSystemErrorName(errno) };
    this.#tell('failed', forward, { ending, ...error });
  }

  #watch(forwards: readonly Forward[]): void {
    const processes = new NamedProcesses((named, pid) => {
      for (const forward of named) this.#tell('exited', forward, pid);
    });
    for (const forward of forwards) processes.add(forward);
    this.#processes = processes;
  }

  #tellOfWarning(forward: Forward): void {
    if (forward.warning !== undefined) this.#tell('warning', forward, forward.warning);
  }

  /**
   * Calls each listener. What one of them throws is an unhandled rejection, as what
   * `onSessionsEnded` throws.
   */
  #tell<E extends keyof ForwarderEvents>(event: E, ...args: ForwarderEvents[E]): void {
    for (const listener of [...this.#byEvent[event]]) void call(listener, args);
  }

  #of(event: unknown, listener: unknown): Set<Listener> {
    const name = choice('event', event, Object.keys(this.#byEvent));
    if (typeof listener !== 'function') throw invalidArgType('listener', 'a function', listener);
    return this.#byEvent[name as keyof ForwarderEvents];
  }
}

async function call(listener: Listener, args: readonly unknown[]): Promise<void> {
  await listener(...(args as readonly never[]));
}
