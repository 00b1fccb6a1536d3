// forward-table.ts: the forwards of a forwarder, and where clients find them.

import { noSuchForward } from '../errors.js';
import { hostNetnsIdentity, type NetnsIdentity } from '../spec/netns.js';
import type { Forward } from '../types/forwards.js';
import { deferred, type Deferred } from '../util.js';
import type { Link } from './collisions.js';

/** What the forwarder knows of a forward, until it is gone. */
export interface Entry<N extends NetnsIdentity> {
  forward: Forward;
  netns: N;
  readonly hostKey: string;
  /** Set as soon as it is being removed. */
  removal?: Deferred;
}

/** Forwards by id, those that drain among them, and by the host endpoint that each has. */
export class ForwardTable<N extends NetnsIdentity> {
  readonly #entries = new Map<number, Entry<N>>();
  readonly #idByHostKey = new Map<string, number>();

  /** Those that drain among them. */
  get size(): number {
    return this.#entries.size;
  }

  /** Those that drain among them. */
  all(): Entry<N>[] {
    return [...this.#entries.values()];
  }

  /** The forwards that take clients, by id. */
  active(): Forward[] {
    return this.all()
      .filter((entry) => entry.removal === undefined)
      .map((entry) => entry.forward);
  }

  /** The forward with this id, if it takes clients. */
  activeAt(id: number): Forward | undefined {
    const entry = this.#entries.get(id);
    return entry?.removal === undefined ? entry?.forward : undefined;
  }

  /** @throws SpliceportError `ERR_SPLICEPORT_NO_SUCH_FORWARD` */
  require(id: number): Entry<N> {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw noSuchForward(id);
    return entry;
  }

  /**
   * The same for one that takes clients.
   * @throws SpliceportError `ERR_SPLICEPORT_NO_SUCH_FORWARD`
   */
  requireActive(id: number): Entry<N> {
    const entry = this.require(id);
    if (entry.removal !== undefined) throw noSuchForward(id);
    return entry;
  }

  add(entry: Entry<N>): void {
    const { id } = entry.forward;
    this.#entries.set(id, entry);
    if (entry.removal === undefined) this.#idByHostKey.set(entry.hostKey, id);
  }

  /** Takes note that forwards take no clients any more; those of them that did until now. */
  startRemoval(entries: readonly Entry<N>[]): Entry<N>[] {
    const active = entries.filter((entry) => entry.removal === undefined);
    for (const entry of active) {
      entry.removal = deferred();
      this.#idByHostKey.delete(entry.hostKey);
    }
    return active;
  }

  /** Waits until those that are being removed have lost their last sessions. */
  async gone(entries: readonly Entry<N>[]): Promise<void> {
    await Promise.all(
      entries.flatMap(({ removal }) => (removal === undefined ? [] : [removal.gone])),
    );
  }

  /** Takes note that the last session of a forward has ended. */
  finishRemoval(id: number): void {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    entry?.removal?.resolve();
  }

  /** Who has a host endpoint. */
  readonly idAt = (hostKey: string): number | undefined => this.#idByHostKey.get(hostKey);

  /** The link of the forward with this host endpoint, if it leads to the host's own namespace. */
  readonly linkAt = (hostKey: string): Link | undefined => {
    const entry = this.#entries.get(this.idAt(hostKey) ?? 0);
    return entry && entry.netns.identity === hostNetnsIdentity() ? entry.forward : undefined;
  };
}
