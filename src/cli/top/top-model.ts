// top-model.ts: the rows of `spliceport top`: the traffic of each forward, polled from every
// forwarder.

import { containerNames, idsIn, type ContainerNames } from '../running/container-names.js';
import { findRunning, forwardId, placeOf, type Running } from '../running/forwarders.js';
import type { SortKey } from '../commands/sort-keys.js';
import { TrafficMeter } from '../forward/traffic.js';
import { formatHost } from '../text/units.js';

/** A forward and its traffic. */
export interface TopRow {
  readonly id: string;
  readonly protocol: string;
  readonly host: string;
  readonly hostPort: number;
  readonly target: string;
  readonly place: string;
  readonly toContainerPerSecond: number;
  readonly toHostPerSecond: number;
  readonly open: number;
  readonly connectsPerSecond: number;
  /** Since its start. */
  readonly failed: number;
}

/** Polls all forwarders of this user. */
export class TopModel {
  #meters = new Map<string, TrafficMeter>();
  #silent = 0;
  #names: ContainerNames = new Map();
  /** Containers whose names have been requested. */
  readonly #asked = new Set<string>();
  readonly #signal: AbortSignal;

  /** @param signal - Stops what is in progress. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** How many forwarders did not answer the last poll. */
  get silent(): number {
    return this.#silent;
  }

  /** One row for each forward. Rates are since the previous poll. */
  async look(): Promise<TopRow[]> {
    let silent = 0;
    const running = await findRunning(() => void (silent += 1));
    this.#silent = silent;
    void this.#learnNames(running);
    const meters = new Map<string, TrafficMeter>();
    const rows = await Promise.all(
      // A forwarder that exits in the meantime has no rows.
      running.map((forwarder) => this.#rowsOf(forwarder, meters).catch(() => [])),
    );
    this.#meters = meters;
    return rows.flat();
  }

  /** Asks once for each container, without waiting: the next poll shows the names. */
  async #learnNames(running: readonly Running[]): Promise<void> {
    const unknown = idsIn(running).filter((id) => !this.#asked.has(id));
    if (unknown.length === 0) return;
    for (const id of unknown) this.#asked.add(id);
    const learned = await containerNames(unknown, this.#signal);
    this.#names = new Map([...this.#names, ...learned]);
  }

  async #rowsOf(forwarder: Running, meters: Map<string, TrafficMeter>): Promise<TopRow[]> {
    const [forwards, { forwards: counted }] = await Promise.all([
      forwarder.client.forwards(),
      forwarder.client.stats(),
    ]);
    const nowMs = performance.now();
    const statsById = new Map(counted.map(({ id, stats }) => [id, stats]));
    return forwards.flatMap((forward) => {
      const stats = statsById.get(forward.id);
      if (stats === undefined) return [];
      const id = forwardId(forwarder, forward.id);
      const meter = this.#meters.get(id) ?? new TrafficMeter();
      meters.set(id, meter);
      const traffic = meter.read(stats, nowMs);
      return [
        {
          id,
          protocol: forward.protocol,
          host: formatHost(forward.host),
          hostPort: forward.host.port,
          target: formatHost(forward.container),
          place: placeOf(forwarder, forward, this.#names),
          toContainerPerSecond: traffic.bytesToContainerPerSecond,
          toHostPerSecond: traffic.bytesToHostPerSecond,
          open: stats.sessionsOpen,
          connectsPerSecond: traffic.sessionsPerSecond,
          failed: stats.connectFailures,
        },
      ];
    });
  }
}

/** The order of rows. */
export interface Sorting {
  readonly key: SortKey;
  /** Against the column's own order: largest figures first, but smallest ids and ports first. */
  readonly reversed: boolean;
}

const figureOf: Readonly<Record<Exclude<SortKey, 'id' | 'host'>, (row: TopRow) => number>> = {
  'to-container': (row) => row.toContainerPerSecond,
  'to-host': (row) => row.toHostPerSecond,
  open: (row) => row.open,
  connects: (row) => row.connectsPerSecond,
  failed: (row) => row.failed,
};

/** The sorted rows; equal ones by id, so that they stay in place. */
export function sortRows(rows: readonly TopRow[], { key, reversed }: Sorting): TopRow[] {
  const sign = reversed ? -1 : 1;
  return rows.toSorted((one, other) => sign * compare(one, other, key) || byId(one, other));
}

function compare(one: TopRow, other: TopRow, key: SortKey): number {
  if (key === 'id') return byId(one, other);
  if (key === 'host') return one.hostPort - other.hostPort;
  return figureOf[key](other) - figureOf[key](one);
}

function byId(one: TopRow, other: TopRow): number {
  return one.id.localeCompare(other.id, 'en', { numeric: true });
}
