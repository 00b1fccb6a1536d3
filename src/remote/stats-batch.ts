// stats-batch.ts: asks for many counters at once.

import type { NativeStats } from '../engine/binding.js';
import { at } from '../util.js';
import { readStats } from './sections.js';
import type { Shim } from './shim.js';

/** Makes one request of all that is asked for in one turn of the event loop. */
export class StatsBatch {
  readonly #shim: Shim;
  #ids: (number | undefined)[] = [];
  #answer: Promise<readonly NativeStats[]> | undefined;

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  /** Counters of a forward. @param id - Undefined: of all forwards that there have been. */
  async read(id: number | undefined): Promise<NativeStats> {
    this.#answer ??= this.#ask();
    const index = this.#ids.push(id) - 1;
    return at(await this.#answer, index);
  }

  async #ask(): Promise<readonly NativeStats[]> {
    this.#ids = [];
    await Promise.resolve();
    this.#answer = undefined;
    const [all] = await this.#shim.request([readStats(this.#ids, this.#shim.statsReader)]);
    return all;
  }
}
