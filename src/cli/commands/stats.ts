// stats.ts: `spliceport stats`.

import type { Forward, Stats, StatsReport } from '../../control/control-types.js';
import { describeForward } from '../text/describe.js';
import { CliFailure, exitCodes } from '../failure.js';
import { print, printJson } from '../output.js';
import {
  findRunning,
  forwardId,
  select,
  type Running,
  type Selection,
} from '../running/forwarders.js';
import { tableLines, type Column } from '../text/table.js';
import { formatBytes, formatHost } from '../text/units.js';

const columns: readonly Column[] = [
  { title: 'FORWARD' },
  { title: 'HOST' },
  { title: 'OPEN', align: 'right' },
  { title: 'TOTAL', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'RESET', align: 'right' },
  { title: 'REFUSED', align: 'right' },
  { title: 'TO CONTAINER', align: 'right' },
  { title: 'TO HOST', align: 'right' },
  { title: 'DROPPED', align: 'right' },
];

interface Reported {
  readonly forwarder: Running;
  readonly report: StatsReport;
  readonly forwards: readonly (Forward & { readonly stats: Stats })[];
  /** Whether all of the forwarder was requested, rather than some of its forwards. */
  readonly whole: boolean;
}

/** Shows counters: of all forwarders, or of the given forwarders and forwards. */
export async function showStats(
  ids: readonly string[],
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  const selected = select(await findRunning(), ids);
  const reported = await Promise.all(selected.map(report));
  if (json) {
    printJson(reported.map(toJson));
    return;
  }
  const [first] = reported;
  const single = reported.length === 1 && first?.whole === false && first.forwards.length === 1;
  const lines = single ? detailLines(first) : tableLines(columns, reported.flatMap(rowsOf));
  for (const line of lines) print(line);
}

async function report({ forwarder, numbers }: Selection): Promise<Reported> {
  const [forwards, stats] = await Promise.all([
    forwarder.client.forwards(),
    forwarder.client.stats(),
  ]);
  const missing = [...(numbers ?? [])].find((number) => !stats.forwards.some(hasId(number)));
  if (missing !== undefined) {
    const message = `forwarder ${forwarder.id} has no forward ${missing}`;
    throw new CliFailure(exitCodes.notFound, message, {
      hint: '"spliceport ls" lists the forwards.',
    });
  }
  return {
    forwarder,
    report: stats,
    whole: numbers === undefined,
    forwards: forwards.flatMap((forward) => {
      const own = stats.forwards.find(hasId(forward.id));
      const isWanted = numbers?.has(forward.id) ?? true;
      return own !== undefined && isWanted ? [{ ...forward, stats: own.stats }] : [];
    }),
  };
}

const hasId =
  (id: number) =>
  (each: { readonly id: number }): boolean =>
    each.id === id;

function toJson({ forwarder, report, forwards, whole }: Reported): unknown {
  return {
    id: forwarder.id,
    ...(whole && { total: report.total }),
    forwards: forwards.map((forward) => ({ ...forward, id: forwardId(forwarder, forward.id) })),
    connectLatencyBucketsMicros: report.connectLatencyBucketsMicros,
  };
}

function rowsOf({ forwarder, report, forwards, whole }: Reported): string[][] {
  const rows = forwards.map(({ id, host, protocol, stats }) => [
    forwardId(forwarder, id),
    `${formatHost(host)}/${protocol}`,
    ...cells(stats),
  ]);
  return whole ? [...rows, [forwarder.id, 'since its start', ...cells(report.total)]] : rows;
}

function cells(stats: Stats): string[] {
  return [
    String(stats.sessionsOpen),
    String(stats.sessionsTotal),
    String(stats.connectFailures),
    String(stats.sessionsReset),
    String(
      stats.sessionsDenied +
        stats.sessionsOverLimit +
        stats.sessionsOverRate +
        stats.sessionsOverClientLimit,
    ),
    formatBytes(stats.bytesToContainer),
    formatBytes(stats.bytesToHost),
    String(stats.datagramsDropped + stats.datagramsLostInKernel),
  ];
}

/** Every counter of a single forward, in words. */
function detailLines({ forwarder, report, forwards }: Reported): string[] {
  return forwards.flatMap(({ stats, ...forward }) => {
    const { connectLatency, connectMicrosTotal, ...counters } = stats;
    const rows = [
      ...Object.entries(counters).map(([name, value]): [string, string] => [
        inWords(name),
        name.startsWith('bytes') ? formatBytes(Number(value)) : String(value),
      ]),
      ...latencyRows(connectLatency, connectMicrosTotal, report.connectLatencyBucketsMicros),
    ];
    const title = `${forwardId(forwarder, forward.id)}  ${describeForward(forward)}`;
    return [title, ...tableLines([{ title: '' }, { title: '', align: 'right' }], rows).slice(1)];
  });
}

/** How long connects took, without empty buckets. */
function latencyRows(
  buckets: readonly number[],
  microsTotal: number,
  bounds: readonly number[],
): [string, string][] {
  const connects = buckets.reduce((sum, each) => sum + each, 0);
  if (connects === 0) return [];
  const last = bounds.at(-1) ?? 0;
  const rows = buckets.map((number, index): [string, number] => {
    const bound = bounds[index];
    return [bound === undefined ? `  above ${last} µs` : `  up to ${bound} µs`, number];
  });
  return [
    ['time to connect, mean', `${Math.round(microsTotal / connects)} µs`],
    ...rows.flatMap(([name, number]): [string, string][] =>
      number > 0 ? [[name, String(number)]] : [],
    ),
  ];
}

/** `bytesToContainer` → `bytes to container` */
function inWords(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
