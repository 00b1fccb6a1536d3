// random.ts: numbers that look random and are the same for each seed, so that what fails once fails
// again.

export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds that are near each other begin far from each other.
    this.#state = Math.imul(seed, 0x9e37_79b1) >>> 0;
  }

  /** An integer from 0 on, below a bound. */
  below(bound: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * bound);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('there is nothing to pick from');
    return items[this.below(items.length)] as T;
  }

  /** Each of them once in `times`, in their order. */
  some<T>(items: readonly T[], times: number): T[] {
    return items.filter(() => this.once(times));
  }
}
