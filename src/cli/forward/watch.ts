// watch.ts: reports what happens to a forwarder: changes at once, problems and traffic at
// intervals.

import type { Forwarder } from '../../index.js';
import { followChanges } from '../../log/changes.js';
import { Troubles, type Trouble } from '../../log/troubles.js';
import type { Report } from './reports.js';
import { TrafficMeter } from './traffic.js';

const DRAIN_INTERVAL_MS = 1_000;
const LOOK_INTERVAL_MS = 500;
const SUMMARY_INTERVAL_MS = 60_000;

/** How to watch. */
export interface WatchOptions {
  readonly report: Report;
  /** How often traffic is reported. 0: never. */
  readonly intervalSeconds: number;
  /** Whether to report traffic even if there is none. */
  readonly isLive: boolean;
  /** How often problems are summed up, after the first was reported at once. */
  readonly summaryIntervalMs?: number | undefined;
}

/** Reports traffic, and changes that others make through the control socket. */
export class ForwardWatch {
  readonly #forwarder: Forwarder;
  readonly #report: Report;
  readonly #isLive: boolean;
  readonly #troubles: Troubles;
  readonly #meter = new TrafficMeter();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #leaveChanges: () => void;
  #lastReported: string | undefined;

  constructor(forwarder: Forwarder, options: WatchOptions) {
    this.#forwarder = forwarder;
    this.#report = options.report;
    this.#isLive = options.isLive;
    this.#troubles = new Troubles(forwarder, options.summaryIntervalMs ?? SUMMARY_INTERVAL_MS);
    this.#leaveChanges = followChanges(forwarder, (event, forward) =>
      options.report({ event, forward }),
    );
    // Other problems are only counted.
    forwarder.on('failed', this.#look);
    this.#every(LOOK_INTERVAL_MS, this.#look);
    if (options.intervalSeconds <= 0) return;
    this.#traffic();
    this.#every(options.intervalSeconds * 1_000, () => this.#traffic());
  }

  /** Reports problems that were not reported yet, if any, and then no more changes. */
  async finish(): Promise<void> {
    this.#leave();
    this.#tellTroubles(await this.#troubles.rest());
  }

  readonly #look = async (): Promise<void> => {
    this.#tellTroubles(await this.#troubles.due(performance.now()));
  };

  readonly #tellTroubles = (trouble: Trouble | undefined): void => {
    if (trouble !== undefined) this.#report({ event: 'troubles', ...trouble });
  };

  /** Reports how the forwarder drains, instead of its traffic. */
  drains(drainMs: number): void {
    const startMs = performance.now();
    this.#stop();
    const tell = (): void =>
      this.#report({
        event: 'draining',
        sessionsOpen: this.#forwarder.stats().sessionsOpen,
        drainMs: Math.max(Math.round(drainMs - (performance.now() - startMs)), 0),
      });
    tell();
    this.#every(DRAIN_INTERVAL_MS, tell);
  }

  #leave(): void {
    this.#leaveChanges();
    this.#forwarder.off('failed', this.#look);
  }

  [Symbol.dispose](): void {
    this.#leave();
    this.#stop();
  }

  #traffic(): void {
    const stats = this.#forwarder.stats();
    const traffic = this.#meter.read(stats, performance.now());
    const { sessionsOpen, sessionsTotal, connectFailures } = stats;
    const counts = { sessionsOpen, sessionsTotal, connectFailures };
    const event = { event: 'traffic' as const, ...traffic, ...counts };
    const text = JSON.stringify(event);
    // The first has nothing to report, and neither has one that equals the previous.
    const isNews = this.#lastReported !== undefined && this.#lastReported !== text;
    this.#lastReported = text;
    if (isNews || this.#isLive) this.#report(event);
  }

  #every(intervalMs: number, work: () => void | Promise<void>): void {
    this.#timers.push(setInterval(() => void work(), intervalMs));
  }

  #stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }
}
