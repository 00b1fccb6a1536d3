// trouble-log.ts: what goes wrong, from counters that grow.

import type { Counters } from '../page-messages.js';

/** How long after it grew a counter counts as a trouble. */
export const TROUBLE_MS = 60_000;

export type Severity = 'error' | 'warning';

interface Kind {
  readonly severity: Severity;
  readonly text: string;
}

type Counter = Exclude<keyof Counters, 'connectError'>;

/** The counters that tell of troubles, the worst first. */
const kinds: Readonly<Partial<Record<Counter, Kind>>> = {
  connectFailures: { severity: 'error', text: 'could not reach the target' },
  localFailures: { severity: 'error', text: 'ended because a system call failed' },
  acceptPauses: { severity: 'error', text: 'pauses: clients could not be accepted' },
  flowsDisplaced: { severity: 'error', text: 'flows ended for lack of descriptors' },
  datagramsLostInKernel: { severity: 'warning', text: 'datagrams lost in the kernel' },
  datagramsDropped: { severity: 'warning', text: 'datagrams dropped' },
  flowsEvicted: { severity: 'warning', text: 'flows ended for newer ones' },
  sessionsDenied: { severity: 'warning', text: 'clients rejected by address' },
  sessionsOverLimit: { severity: 'warning', text: 'clients over the session limit' },
  sessionsOverRate: { severity: 'warning', text: 'clients over the rate limit' },
  sessionsOverClientLimit: { severity: 'warning', text: 'clients over their own limit' },
  proxySourcesUntrusted: { severity: 'warning', text: 'clients not trusted as proxies' },
  proxyHeadersMalformed: { severity: 'warning', text: 'clients with bad PROXY headers' },
  proxyHeadersLate: { severity: 'warning', text: 'clients with late PROXY headers' },
};
const counters = Object.keys(kinds) as Counter[];

/** A trouble of one forward. */
export interface Trouble {
  readonly severity: Severity;
  readonly text: string;
}

interface Growth {
  readonly amount: number;
  readonly atMs: number;
}

/** The troubles of one forward. */
export class TroubleLog {
  readonly #grown = new Map<Counter, Growth>();
  #error: string | undefined;

  /** Compares two readings. */
  note(before: Counters, now: Counters, atMs: number): void {
    for (const counter of counters) {
      const amount = now[counter] - before[counter];
      if (amount <= 0) continue;
      const known = this.#grown.get(counter);
      const sum = known !== undefined && atMs - known.atMs < TROUBLE_MS ? known.amount : 0;
      this.#grown.set(counter, { amount: sum + amount, atMs });
    }
    this.#error = now.connectError;
  }

  /** Those of the last minute. */
  recent(atMs: number): Trouble[] {
    return counters.flatMap((counter) => {
      const growth = this.#grown.get(counter);
      const kind = kinds[counter];
      if (growth === undefined || kind === undefined) return [];
      if (atMs - growth.atMs > TROUBLE_MS) return [];
      const isConnect = counter === 'connectFailures' && this.#error !== undefined;
      const reason = isConnect ? ` (${this.#error ?? ''})` : '';
      const noun = isConnect || counter === 'localFailures' ? sessions(growth.amount) : '';
      return [{ severity: kind.severity, text: `${growth.amount} ${noun}${kind.text}${reason}` }];
    });
  }
}

function sessions(amount: number): string {
  return amount === 1 ? 'session ' : 'sessions ';
}
