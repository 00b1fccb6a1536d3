// results.ts: the results of a run, as written to JSON and read back.

import type { Machine } from './machine.js';
import { best, median, ratio, summarize, type Summary } from './statistics.js';
import { METRICS } from './metrics.js';
import type { Figures, Metric, Scenario, Timing } from './types.js';

/** One program in one scenario. */
export interface Row {
  readonly driver: string;
  readonly kind: string;
  /** One entry per round. */
  readonly rounds: Figures[];
  /** Why it was given up, if it was. */
  failure?: string;
}

/** All programs in one scenario. */
export interface ScenarioResult {
  readonly scenario: Omit<Scenario, 'measure' | 'suits' | 'needs'>;
  readonly rows: Row[];
}

/** A whole run. */
export interface Results {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** Where each program is from; absent in older results. */
  readonly origins?: Readonly<Record<string, string>>;
  readonly timing: Timing & { readonly rounds: number };
  readonly scenarios: ScenarioResult[];
}

/** The row of one program in one scenario. */
export interface Comparison {
  readonly driver: string;
  readonly kind: string;
  readonly figures: Partial<Record<Metric, Summary>>;
  /** The headline as a multiple of the reference program's, and of the best other program's. */
  readonly toReference: number | undefined;
  readonly toBestPeer: number | undefined;
  /** The same for the CPU time. */
  readonly cpuToReference: number | undefined;
  readonly failure: string | undefined;
}

function summaries(row: Row): Partial<Record<Metric, Summary>> {
  const figures: Partial<Record<Metric, Summary>> = {};
  for (const metric of METRICS) {
    const summary = summarize(
      row.rounds.map((round) => round[metric]).filter((value) => value !== undefined),
    );
    if (summary !== undefined) figures[metric] = summary;
  }
  return figures;
}

function medianOf(row: Row | undefined, metric: Metric): number | undefined {
  const values = row?.rounds.map((round) => round[metric]).filter((value) => value !== undefined);
  return values === undefined || values.length === 0 ? undefined : median(values);
}

/**
 * Medians, spreads and ratios. A ratio is one of medians: a reader can check it against the table.
 * Peers are the other projects' programs: neither a variant of this one nor the direct connection
 * counts as one.
 */
export function compare(result: ScenarioResult, reference: string): Comparison[] {
  const { headline } = result.scenario;
  const better = headline === 'rate' || headline === 'held' ? 'higher' : 'lower';
  // A run may have it only under another label, such as that of a Debian root.
  const referenceRow =
    result.rows.find((row) => row.driver === reference) ??
    result.rows.find((row) => row.kind === reference);
  const peers = result.rows.filter((row) => row.kind !== 'spliceport' && row.kind !== 'direct');
  return result.rows.map((row) => {
    const others = peers
      .filter((peer) => peer !== row)
      .map((peer) => medianOf(peer, headline))
      .filter((value) => value !== undefined);
    const value = medianOf(row, headline);
    return {
      driver: row.driver,
      kind: row.kind,
      figures: summaries(row),
      toReference: ratio(value, medianOf(referenceRow, headline)),
      toBestPeer: ratio(value, best(others, better)),
      cpuToReference: ratio(medianOf(row, 'cpu'), medianOf(referenceRow, 'cpu')),
      failure: row.failure,
    };
  });
}
