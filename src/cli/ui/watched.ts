// watched.ts: one forwarder that is watched: what it has told last.

import { ControlClient } from '../../control/client.js';
import type { Forward, Session, Stats } from '../../control/control-types.js';
import type { Running } from '../running/forwarders.js';

/** One that takes longer is as good as silent. */
const TIMEOUT_MS = 2_000;
/** Answers of one moment may differ by this. */
const JITTER_MS = 2_000;

/** Sessions, and when they were asked for. */
export interface SessionList {
  readonly atMs: number;
  readonly sessions: readonly Session[];
}

/** Asks one forwarder, never twice at a time. */
export class Watched {
  readonly #client: ControlClient;
  #running: Running;
  #forwards: readonly Forward[] = [];
  #counted: StatsById = new Map();
  #sessions: SessionList = { atMs: 0, sessions: [] };
  #startedAtMs = 0;
  #isStale = true;
  #failure: Error | undefined;
  #pending: Promise<void> | undefined;

  constructor(running: Running) {
    this.#running = running;
    this.#client = new ControlClient(running.socketPath, { timeoutMs: TIMEOUT_MS });
    this.found(running);
  }

  /** It has answered once more when all forwarders were looked for. */
  found(running: Running): void {
    this.#running = running;
    this.#isStale = true;
    this.#failure = undefined;
    const startedAtMs = Date.now() - running.info.uptimeMs;
    if (Math.abs(startedAtMs - this.#startedAtMs) > JITTER_MS) this.#startedAtMs = startedAtMs;
  }

  get running(): Running {
    return this.#running;
  }

  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  /** Why it did not answer the last question. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get forwards(): readonly Forward[] {
    return this.#forwards;
  }

  get sessions(): SessionList {
    return this.#sessions;
  }

  statsOf(forward: Forward): Stats | undefined {
    return this.#counted.get(forward.id);
  }

  /** Asks for its counters, for its forwards if they may be others, and for its sessions. */
  look(wantsSessions: boolean): Promise<void> {
    this.#pending ??= this.#ask(wantsSessions)
      .catch((error: unknown) => {
        this.#failure = error as Error;
      })
      .finally(() => (this.#pending = undefined));
    return this.#pending;
  }

  async #ask(wantsSessions: boolean): Promise<void> {
    const { forwards: counted } = await this.#client.stats();
    this.#counted = new Map(counted.map(({ id, stats }) => [id, stats]));
    const isSame =
      counted.length === this.#forwards.length &&
      this.#forwards.every(({ id }) => this.#counted.has(id));
    if (this.#isStale || !isSame) {
      this.#isStale = false;
      this.#forwards = await this.#client.forwards();
    }
    if (!wantsSessions) return;
    const sessions = await this.#client.sessions();
    this.#sessions = { atMs: Date.now(), sessions };
  }
}

type StatsById = ReadonlyMap<number, Stats>;
