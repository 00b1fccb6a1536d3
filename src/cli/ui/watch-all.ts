// watch-all.ts: all forwarders of this user, as they are watched for the page.

import { containerNames, idsIn, type ContainerNames } from '../running/container-names.js';
import { findRunning } from '../running/forwarders.js';
import type { Silent } from '../../page/page-messages.js';
import { atMost } from '../../util.js';
import { countersOf, forwarderRow, forwardRow, sessionRow, type View } from './ui-view.js';
import { Watched } from './watched.js';

/** How often forwarders are looked for: a call to each and a look into folders. */
const FIND_EVERY_MS = 5_000;
/** What each forwarder adds to it. */
const FIND_EACH_MS = 50;
/** How long one forwarder may keep the others from being shown. */
const WAIT_MS = 400;

/** Asks all forwarders; keeps what each has told. */
export class Watch {
  readonly #watched = new Map<string, Watched>();
  readonly #signal: AbortSignal;
  #silent: readonly Silent[] = [];
  #names: ContainerNames = new Map();
  readonly #asked = new Set<string>();
  #foundAtMs = -Infinity;
  #finding: Promise<void> | undefined;

  /** @param signal - Stops what is in progress. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Has the next look find forwarders anew. */
  expectChange(): void {
    this.#foundAtMs = -Infinity;
  }

  /** What they tell now. One call at a time. */
  async look(wantsSessions: boolean): Promise<View> {
    const isFirst = this.#foundAtMs === -Infinity;
    const everyMs = FIND_EVERY_MS + this.#watched.size * FIND_EACH_MS;
    if (performance.now() - this.#foundAtMs > everyMs) {
      this.#foundAtMs = performance.now();
      this.#finding ??= this.#find().finally(() => (this.#finding = undefined));
    }
    // A forwarder that is stopped makes it take long; the others go on meanwhile.
    if (isFirst && this.#finding !== undefined) await atMost(WAIT_MS, this.#finding);
    const looks = [...this.#watched.values()].map((each) => each.look(wantsSessions));
    await atMost(WAIT_MS, Promise.all(looks));
    if ([...this.#watched.values()].some(({ failure }) => failure !== undefined)) {
      this.expectChange();
    }
    return this.#view(wantsSessions);
  }

  async #find(): Promise<void> {
    const silent: Silent[] = [];
    const running = await findRunning((id, message) => void silent.push({ id, message }));
    const ids = new Set(running.map(({ id }) => id));
    for (const id of this.#watched.keys()) if (!ids.has(id)) this.#watched.delete(id);
    for (const each of running) {
      const known = this.#watched.get(each.id);
      if (known === undefined) this.#watched.set(each.id, new Watched(each));
      else known.found(each);
    }
    this.#silent = silent;
    const unknown = idsIn(running).filter((id) => !this.#asked.has(id));
    if (unknown.length === 0) return;
    for (const id of unknown) this.#asked.add(id);
    // Not waited for: an engine takes its time, and rows are of use without names.
    void containerNames(unknown, this.#signal).then((learned) => {
      this.#names = new Map([...this.#names, ...learned]);
    });
  }

  #view(wantsSessions: boolean): View {
    const names = this.#names;
    const answering = [...this.#watched.values()].filter(({ failure }) => failure === undefined);
    const forwards = answering.flatMap((each) =>
      each.forwards.map((forward) => forwardRow(each.running, forward, names)),
    );
    const counters = answering.flatMap((each) =>
      each.forwards.flatMap((forward) => {
        const stats = each.statsOf(forward);
        if (stats === undefined) return [];
        return [[`${each.running.id}/${forward.id}`, countersOf(stats)] as const];
      }),
    );
    const sessions = answering.flatMap(({ running, sessions: { atMs, sessions } }) =>
      sessions.map((session) => sessionRow(running, session, atMs)),
    );
    return {
      atMs: Date.now(),
      forwarders: new Map(
        answering.map(({ running, startedAtMs }) => [
          running.id,
          forwarderRow(running, startedAtMs, names),
        ]),
      ),
      forwards: new Map(forwards.map((row) => [row.id, row])),
      counters: new Map(counters),
      silent: this.#silent,
      ...(wantsSessions && { sessions: new Map(sessions.map((row) => [row.key, row])) }),
    };
  }
}
