// known-names.ts: names of containers, kept between scrapes.

import { containerNames, type ContainerNames } from '../running/container-names.js';

/** An engine's answer costs a process and tens of milliseconds; a name hardly ever changes. */
const MAX_AGE_MS = 60_000;

/** Names of containers that are looked up at most once a minute, and when there is a new one. */
export class KnownNames {
  #asked: ReadonlySet<string> = new Set();
  #names: ContainerNames = new Map();
  #askedAtMs = -Infinity;

  /** Names by id. */
  readonly of = async (ids: readonly string[]): Promise<ContainerNames> => {
    const isNew = ids.some((id) => !this.#asked.has(id));
    const now = performance.now();
    if (isNew || now - this.#askedAtMs > MAX_AGE_MS) {
      this.#asked = new Set(ids);
      this.#askedAtMs = now;
      this.#names = await containerNames(ids);
    }
    return this.#names;
  };
}
