// hub.ts: looks at the forwarders while somebody looks at the page, and tells each viewer what has
// changed. Without a viewer it does nothing.

import { setTimeout as delay } from 'node:timers/promises';
import type { News } from '../../page/page-messages.js';
import { Differences } from './differences.js';
import { Pace } from './pace.js';
import { Watch } from './watch-all.js';

/** Somebody who looks at the page. */
export interface Viewer {
  readonly wantsSessions: boolean;
  /** False: it has not read what it was told before, and is told the sum of it later. */
  readonly isReady: () => boolean;
  readonly tell: (news: News) => void;
}

/** Serves viewers until it is disposed. */
export class Hub implements Disposable {
  readonly #viewers = new Map<Viewer, Differences>();
  readonly #ended = new AbortController();
  readonly #watch = new Watch(this.#ended.signal);
  readonly #pace = new Pace({ minMs: 1_000, maxMs: 10_000 });
  readonly #sessionsPace = new Pace({ minMs: 2_000, maxMs: 15_000 });
  #wake = new AbortController();
  #isRunning = false;
  #sessionsDueMs = 0;

  /** Serves a viewer from now on; the function that is returned ends it. */
  join(viewer: Viewer): () => void {
    this.#viewers.set(viewer, new Differences());
    this.expectChange();
    if (!this.#isRunning) void this.#run();
    return () => {
      this.#viewers.delete(viewer);
      if (this.#viewers.size === 0) this.#wake.abort();
    };
  }

  /** Something is or may be different: viewers see it at once. */
  expectChange(): void {
    this.#watch.expectChange();
    this.#sessionsDueMs = 0;
    this.#wake.abort();
  }

  [Symbol.dispose](): void {
    this.#viewers.clear();
    this.#ended.abort();
    this.#wake.abort();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#viewers.size > 0) {
      this.#wake = new AbortController();
      await this.#look();
      const { signal } = this.#wake;
      await delay(this.#pace.waitMs, undefined, { signal }).catch(() => undefined);
    }
    this.#isRunning = false;
  }

  async #look(): Promise<void> {
    const isWanted = [...this.#viewers.keys()].some(({ wantsSessions }) => wantsSessions);
    const wantsSessions = isWanted && performance.now() >= this.#sessionsDueMs;
    const before = process.cpuUsage();
    const view = await this.#watch.look(wantsSessions);
    for (const [viewer, differences] of this.#viewers) {
      if (!viewer.isReady()) continue;
      const { sessions, ...others } = view;
      const isFor = viewer.wantsSessions && sessions !== undefined;
      viewer.tell(differences.next(isFor ? { ...others, sessions } : others));
    }
    const { user, system } = process.cpuUsage(before);
    const usedMs = (user + system) / 1_000;
    if (!wantsSessions) {
      this.#pace.took(usedMs);
      return;
    }
    this.#sessionsPace.took(usedMs);
    this.#sessionsDueMs = performance.now() + this.#sessionsPace.waitMs;
  }
}
