// shim-netns.ts: the namespaces that a shim holds open for a forwarder, and what is known of them.

import type { NativeFailure } from '../engine/binding.js';
import { transparencyWarning } from '../engine/transparency.js';
import { HeldNetns } from '../spec/netns.js';
import { at } from '../util.js';
import { prepareTransparency, releaseNetns, type OpenedNetns, type Section } from './sections.js';
import { RequestError, type Shim } from './shim.js';

/** A namespace, and a path that leads to it. */
export interface ShownNetns {
  readonly netns: OpenedNetns;
  readonly path: string;
}

/** Counts who uses the namespaces, and has the shim close those that nobody uses any more. */
export class ShimNamespaces {
  readonly #shim: Shim;
  readonly #held = new HeldNetns<OpenedNetns>();
  readonly #warnings = new WeakMap<OpenedNetns, string | undefined>();

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  /** Counts users of a namespace that the shim has opened; the same as it has been known. */
  hold(netns: OpenedNetns, users: number): OpenedNetns {
    return this.#held.hold(netns, users);
  }

  /** Counts users less. */
  release(netns: OpenedNetns, users: number): void {
    if (this.#held.release(netns, users)) this.#close(netns);
  }

  /** Has the shim close it, unless somebody uses it. */
  closeUnused(netns: OpenedNetns): void {
    if (this.#held.get(netns.identity) === undefined) this.#close(netns);
  }

  /**
   * A sentence if servers there do not see their clients' addresses, as far as {@link requestWith}
   * knows.
   */
  warningFor(netns: OpenedNetns): string | undefined {
    return this.#warnings.get(netns);
  }

  /**
   * Has the shim carry out a section, and then find out of namespaces whether servers there can be
   * shown their clients' addresses. That they cannot is no failure.
   * @param section - Undefined: nothing but that.
   * @throws RequestError of the section
   */
  async requestWith(
    section: Section | undefined,
    transparent: readonly ShownNetns[],
  ): Promise<void> {
    const fresh = transparent.filter(({ netns }) => !this.#warnings.has(netns));
    let unknown = [...new Map(fresh.map((shown) => [shown.netns, shown])).values()];
    let work = section === undefined ? [] : [section];
    while (work.length + unknown.length > 0) {
      const checks = unknown.map(({ netns }) => prepareTransparency(netns.slot));
      const outcome = await this.#attempt([...work, ...checks]);
      const done = (outcome?.failure.section ?? work.length + checks.length) - work.length;
      if (outcome !== undefined && done < 0) throw outcome;
      for (const { netns } of unknown.slice(0, done)) this.#warnings.set(netns, undefined);
      if (outcome === undefined) return;
      this.#warn(at(unknown, done), outcome.failure);
      unknown = unknown.slice(done + 1);
      work = [];
    }
  }

  #warn({ netns, path }: ShownNetns, failure: NativeFailure): void {
    this.#warnings.set(netns, transparencyWarning(failure, path));
  }

  async #attempt(sections: readonly Section[]): Promise<RequestError | undefined> {
    try {
      await this.#shim.request(sections, Infinity);
      return undefined;
    } catch (error) {
      if (error instanceof RequestError) return error;
      throw error;
    }
  }

  /** What is asked for next waits for it, and nobody else. */
  #close({ slot }: OpenedNetns): void {
    this.#shim.request([releaseNetns(slot)]).catch(() => undefined);
  }
}
