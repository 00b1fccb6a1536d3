// lingering.ts: when a resident leaves. Nothing is lost by it: whoever needs one again starts one.

import type { Linger } from '../settings/settings-types.js';
import { monotonicMs } from '../util.js';

const LOOK_INTERVAL_MS = 1_000;
const DEFAULT_SECONDS = 300;

/** What a resident does, as far as its end depends on it. */
export interface Activity {
  /** Whether somebody waits for an answer, or for a container. */
  isUnderWay(): boolean;
  /** Whether a log of a container has to be written. */
  isKept(): boolean;
  /** What the containers' settings say of it. */
  lingers(): readonly (Linger | undefined)[];
  /**
   * Whether the next one is to go on, since nobody can come any more, or since the package is
   * another by now.
   */
  isReplaced(): boolean;
}

/** Leaves when nothing has been done for a while. */
export class Lingering {
  readonly #activity: Activity;
  readonly #leave: () => void;
  #lastMs = monotonicMs();
  /** As of when there were containers. */
  #lingerMs = DEFAULT_SECONDS * 1_000;

  /** @param leave - Called when it is time. */
  constructor(activity: Activity, leave: () => void) {
    this.#activity = activity;
    this.#leave = leave;
    setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
  }

  /** Something has been asked for. */
  touch(): void {
    this.#lastMs = monotonicMs();
  }

  /** A container is about to be forgotten; what the last of them says holds on. */
  remember(): void {
    const lingers = this.#activity.lingers();
    if (lingers.length > 0) this.#lingerMs = Math.max(...lingers.map(toMs));
  }

  #look(): void {
    const activity = this.#activity;
    if (activity.isUnderWay()) {
      this.touch();
      return;
    }
    this.remember();
    const isOver = monotonicMs() - this.#lastMs >= this.#lingerMs;
    if (activity.isReplaced() || (isOver && !activity.isKept())) this.#leave();
  }
}

function toMs(linger: Linger = DEFAULT_SECONDS): number {
  return linger === 'always' ? Infinity : linger * 1_000;
}
