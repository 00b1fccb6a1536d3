// model.ts: everything that the page knows, kept up to date by the server's news.

import type {
  Changes,
  Counters,
  ForwarderRow,
  ForwardRow,
  News,
  SessionRow,
  Silent,
} from '../page-messages.js';
import { GAP_MS, Series } from './series.js';
import { TroubleLog, type Trouble } from './trouble-log.js';

/** A forward with its figures. */
export class LiveForward {
  row: ForwardRow;
  counters: Counters | undefined;
  readonly series = new Series();
  readonly troubles = new TroubleLog();
  toContainer = 0;
  toHost = 0;
  newPerSecond = 0;
  /** Those of now; changed once for each message. */
  recent: readonly Trouble[] = [];

  constructor(row: ForwardRow) {
    this.row = row;
  }

  get severity(): number {
    if (this.recent.some(({ severity }) => severity === 'error')) return 2;
    return this.recent.length > 0 || this.row.warning !== undefined ? 1 : 0;
  }

  get rejected(): number {
    const { counters } = this;
    if (counters === undefined) return 0;
    const { sessionsDenied, sessionsOverLimit, sessionsOverRate } = counters;
    return sessionsDenied + sessionsOverLimit + sessionsOverRate + counters.sessionsOverClientLimit;
  }

  take(changed: Partial<Counters> | undefined, atMs: number, elapsedMs: number): void {
    const before = this.counters;
    const now = { ...before, ...changed } as Counters;
    this.counters = now;
    const isJoined = before !== undefined && elapsedMs > 0 && elapsedMs < GAP_MS;
    const rate = (counter: 'bytesToContainer' | 'bytesToHost' | 'sessionsTotal'): number =>
      isJoined ? Math.max(now[counter] - before[counter], 0) / (elapsedMs / 1_000) : 0;
    this.toContainer = rate('bytesToContainer');
    this.toHost = rate('bytesToHost');
    this.newPerSecond = rate('sessionsTotal');
    if (before !== undefined) this.troubles.note(before, now, atMs);
    this.recent = this.troubles.recent(atMs);
    if (isJoined) {
      this.series.add({ atMs, toContainer: this.toContainer, toHost: this.toHost });
    }
  }
}

export type Status = 'connecting' | 'live' | 'lost';

/** Sums over all forwards. */
export interface Totals {
  readonly toContainer: number;
  readonly toHost: number;
  readonly open: number;
  readonly newPerSecond: number;
}

/** The state of the page. Whoever shows it is called when it changes. */
export class Model {
  readonly forwarders = new Map<string, ForwarderRow>();
  readonly forwards = new Map<string, LiveForward>();
  readonly sessions = new Map<string, SessionRow>();
  readonly series = new Series();
  silent: readonly Silent[] = [];
  status: Status = 'connecting';
  totals: Totals = { toContainer: 0, toHost: 0, open: 0, newPerSecond: 0 };
  atMs = 0;
  /** Whether sessions have been told. */
  hasSessions = false;
  /** Changes whenever the sessions do. */
  sessionsVersion = 0;
  #isFresh = true;
  readonly #onChange: () => void;
  readonly #onEnded: (forwarder: ForwarderRow) => void;

  constructor(onChange: () => void, onEnded: (forwarder: ForwarderRow) => void) {
    this.#onChange = onChange;
    this.#onEnded = onEnded;
  }

  /** The next message will be the first of a connection. */
  restart(): void {
    this.#isFresh = true;
  }

  lose(): void {
    this.restart();
    this.status = 'lost';
    this.#onChange();
  }

  apply(news: News): void {
    const elapsedMs = news.atMs - this.atMs;
    if (this.#isFresh) this.#forget(news);
    this.status = 'live';
    for (const id of news.forwarders?.gone ?? []) this.#end(id);
    set(this.forwarders, news.forwarders, ({ id }) => id);
    this.#applyForwards(news, elapsedMs);
    this.#applySessions(news.sessions);
    this.silent = news.silent ?? this.silent;
    this.atMs = news.atMs;
    this.#onChange();
  }

  /** A first message has everything: what it does not have is no more. */
  #forget({ forwarders, forwards }: News): void {
    this.#isFresh = false;
    const present = new Set(forwards?.set.map(({ id }) => id));
    for (const id of this.forwards.keys()) if (!present.has(id)) this.forwards.delete(id);
    const answering = new Set(forwarders?.set.map(({ id }) => id));
    for (const id of this.forwarders.keys()) if (!answering.has(id)) this.#end(id);
    this.sessions.clear();
    this.hasSessions = false;
    this.silent = [];
  }

  #end(id: string): void {
    const forwarder = this.forwarders.get(id);
    this.forwarders.delete(id);
    if (forwarder !== undefined) this.#onEnded(forwarder);
  }

  #applyForwards({ forwards, counters, atMs }: News, elapsedMs: number): void {
    for (const id of forwards?.gone ?? []) this.forwards.delete(id);
    for (const row of forwards?.set ?? []) {
      const known = this.forwards.get(row.id);
      if (known === undefined) this.forwards.set(row.id, new LiveForward(row));
      else known.row = row;
    }
    const changed = new Map(counters);
    const totals = { toContainer: 0, toHost: 0, open: 0, newPerSecond: 0 };
    for (const [id, forward] of this.forwards) {
      const own = changed.get(id);
      if (own !== undefined || forward.counters !== undefined) forward.take(own, atMs, elapsedMs);
      totals.toContainer += forward.toContainer;
      totals.toHost += forward.toHost;
      totals.newPerSecond += forward.newPerSecond;
      totals.open += forward.counters?.sessionsOpen ?? 0;
    }
    this.totals = totals;
    if (elapsedMs > 0 && elapsedMs < GAP_MS) {
      this.series.add({ atMs, toContainer: totals.toContainer, toHost: totals.toHost });
    }
  }

  #applySessions(sessions: News['sessions']): void {
    if (sessions === undefined) return;
    this.hasSessions = true;
    this.sessionsVersion += 1;
    set(this.sessions, sessions, ({ key }) => key);
    for (const [key, toContainer, toHost, state] of sessions.changed) {
      const known = this.sessions.get(key);
      if (known !== undefined) this.sessions.set(key, { ...known, toContainer, toHost, state });
    }
  }
}

function set<T>(
  rows: Map<string, T>,
  changes: Changes<T> | undefined,
  keyOf: (row: T) => string,
): void {
  for (const key of changes?.gone ?? []) rows.delete(key);
  for (const row of changes?.set ?? []) rows.set(keyOf(row), row);
}
