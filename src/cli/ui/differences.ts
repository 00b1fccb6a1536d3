// differences.ts: what a viewer does not know yet.

import type {
  Changes,
  Counters,
  News,
  SessionChange,
  SessionRow,
  Silent,
} from '../../page/page-messages.js';
import type { View } from './ui-view.js';

/** The age of a session is told with each answer, and varies by the time that it took. */
const JITTER_MS = 1_500;

/** What one viewer knows. */
export class Differences {
  #forwarders = new Map<string, string>();
  #forwards = new Map<string, string>();
  #counters: ReadonlyMap<string, Counters> = new Map();
  #silent: readonly Silent[] | undefined;
  #sessions: ReadonlyMap<string, SessionRow> = new Map();

  /** What is different from the view before. */
  next(view: View): News {
    const forwarders = changes(this.#forwarders, view.forwarders);
    const forwards = changes(this.#forwards, view.forwards);
    const counters = this.#countersOf(view);
    const silent =
      JSON.stringify(view.silent) === JSON.stringify(this.#silent) ? undefined : view.silent;
    this.#silent = view.silent;
    const sessions = view.sessions && this.#sessionsOf(view.sessions);
    return {
      atMs: view.atMs,
      ...(forwarders && { forwarders }),
      ...(forwards && { forwards }),
      ...(counters.length > 0 && { counters }),
      ...(silent && { silent }),
      ...(sessions && { sessions }),
    };
  }

  #countersOf({ counters }: View): NonNullable<News['counters']> {
    const before = this.#counters;
    this.#counters = counters;
    return [...counters].flatMap(([id, now]) => {
      const known: Partial<Counters> = before.get(id) ?? {};
      const different = Object.entries(now).filter(
        ([name, value]) => known[name as keyof Counters] !== value,
      );
      return different.length === 0 ? [] : [[id, Object.fromEntries(different)] as const];
    });
  }

  #sessionsOf(now: ReadonlyMap<string, SessionRow>): NonNullable<News['sessions']> {
    const before = this.#sessions;
    this.#sessions = now;
    const set: SessionRow[] = [];
    const changed: SessionChange[] = [];
    for (const [key, row] of now) {
      const known = before.get(key);
      if (known === undefined || !isSame(known, row)) set.push(row);
      else if (hasMoved(known, row)) changed.push([key, row.toContainer, row.toHost, row.state]);
    }
    const gone = [...before.keys()].filter((key) => !now.has(key));
    return { set, changed, gone };
  }
}

/** Whether it is the same session, rather than a later one from the same port. */
function isSame(one: SessionRow, other: SessionRow): boolean {
  return (
    Math.abs(one.openedAtMs - other.openedAtMs) < JITTER_MS &&
    one.source === other.source &&
    one.target === other.target
  );
}

function hasMoved(one: SessionRow, other: SessionRow): boolean {
  return (
    one.toContainer !== other.toContainer ||
    one.toHost !== other.toHost ||
    one.state !== other.state
  );
}

/** Compares with the texts of the rows known, and notes the new ones. */
function changes<T>(
  known: Map<string, string>,
  now: ReadonlyMap<string, T>,
): Changes<T> | undefined {
  const set: T[] = [];
  for (const [key, row] of now) {
    const text = JSON.stringify(row);
    if (known.get(key) === text) continue;
    known.set(key, text);
    set.push(row);
  }
  const gone = [...known.keys()].filter((key) => !now.has(key));
  for (const key of gone) known.delete(key);
  return set.length > 0 || gone.length > 0 ? { set, gone } : undefined;
}
