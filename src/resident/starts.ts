// starts.ts: the containers that start at this moment. Their users wait, so other work comes later.

/** A shim that stands still must not hold up others. Unit: ms. */
const MAX_WAIT_MS = 50;

/** Counts starts, and has other work wait for them. */
export class Starts {
  #underWay = 0;
  #waiting: (() => void)[] = [];

  get areUnderWay(): boolean {
    return this.#underWay > 0;
  }

  begin(): void {
    this.#underWay += 1;
  }

  end(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Fulfilled when there are none, or after 50 ms. */
  over(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#underWay === 0) {
        resolve();
        return;
      }
      const timer = setTimeout(resolve, MAX_WAIT_MS);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
