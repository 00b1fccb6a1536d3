// metrics.ts: the counters as Prometheus reads them. A table says what each metric is; the figures are read on a scrape.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { formatEndpoint } from '../address.js';
import {
  CONNECT_LATENCY_BUCKETS_MICROS,
  type Forward,
  type Forwarder,
  type Stats,
} from '../index.js';
import type { Context } from './context.js';

/** One figure of a forward, and the label that tells it from others of its metric. */
interface Figure {
  readonly label?: readonly [name: string, value: string];
  readonly valueOf: (stats: Stats) => number;
}

interface MetricRule {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  /** The forwards that have it. Default: all. */
  readonly protocol?: 'tcp' | 'udp';
  readonly figures: readonly Figure[];
}

const LABELS = ['forward', 'protocol', 'host'] as const;

/** Directions are named by where they go. */
function directions(toContainer: keyof Stats, toHost: keyof Stats): Figure[] {
  return [
    { label: ['direction', 'to_container'], valueOf: (stats) => Number(stats[toContainer]) },
    { label: ['direction', 'to_host'], valueOf: (stats) => Number(stats[toHost]) },
  ];
}

const connectFailures: readonly Figure[] = [
  { label: ['reason', 'timeout'], valueOf: (stats) => stats.connectTimeouts },
  {
    label: ['reason', 'unreachable'],
    valueOf: (stats) => stats.connectFailures - stats.connectTimeouts,
  },
];

const refusals: readonly Figure[] = [
  { label: ['reason', 'denied'], valueOf: (stats) => stats.sessionsDenied },
  { label: ['reason', 'limit'], valueOf: (stats) => stats.sessionsOverLimit },
  { label: ['reason', 'rate'], valueOf: (stats) => stats.sessionsOverRate },
];

/** Every metric of a forward, but the histogram. */
const RULES: readonly MetricRule[] = [
  {
    name: 'spliceport_sessions_open',
    help: 'Open TCP sessions.',
    kind: 'gauge',
    protocol: 'tcp',
    figures: [{ valueOf: (stats) => stats.sessionsOpen }],
  },
  {
    name: 'spliceport_sessions_total',
    help: 'TCP sessions since the forward was added.',
    kind: 'counter',
    protocol: 'tcp',
    figures: [{ valueOf: (stats) => stats.sessionsTotal }],
  },
  {
    name: 'spliceport_sessions_failed_total',
    help: 'TCP sessions whose target could not be reached; their clients were reset.',
    kind: 'counter',
    protocol: 'tcp',
    figures: connectFailures,
  },
  {
    name: 'spliceport_sessions_reset_total',
    help: 'TCP sessions that were reset by either side, or whose address the container has lost.',
    kind: 'counter',
    protocol: 'tcp',
    figures: [{ valueOf: (stats) => stats.sessionsReset }],
  },
  {
    name: 'spliceport_local_failures_total',
    help: 'Sessions and flows that ended because a system call failed on this machine; with TCP, both ends were reset.',
    kind: 'counter',
    figures: [{ valueOf: (stats) => stats.localFailures }],
  },
  {
    name: 'spliceport_connect_retries_total',
    help: 'Further attempts to connect after the target refused.',
    kind: 'counter',
    protocol: 'tcp',
    figures: [{ valueOf: (stats) => stats.connectRetries }],
  },
  {
    name: 'spliceport_accept_pauses_total',
    help: 'How often a listener paused because descriptors or memory ran out, or because accept(2) or recvmmsg(2) kept failing.',
    kind: 'counter',
    figures: [{ valueOf: (stats) => stats.acceptPauses }],
  },
  {
    name: 'spliceport_pipe_fallbacks_total',
    help: 'How often bulk data was copied because no useful pipe was available or splice(2) failed.',
    kind: 'counter',
    protocol: 'tcp',
    figures: [{ valueOf: (stats) => stats.pipeFallbacks }],
  },
  {
    name: 'spliceport_sessions_refused_total',
    help: 'TCP connections that the forward rejected; they were reset.',
    kind: 'counter',
    protocol: 'tcp',
    figures: refusals,
  },
  {
    name: 'spliceport_proxy_refused_total',
    help: 'Connections and datagrams rejected for lack of a valid PROXY header from a trusted load balancer.',
    kind: 'counter',
    figures: [
      { label: ['reason', 'untrusted'], valueOf: (stats) => stats.proxySourcesUntrusted },
      { label: ['reason', 'malformed'], valueOf: (stats) => stats.proxyHeadersMalformed },
      { label: ['reason', 'late'], valueOf: (stats) => stats.proxyHeadersLate },
    ],
  },
  {
    name: 'spliceport_source_address_fallbacks_total',
    help: "Sessions and flows of transparent forwards whose servers saw the container's own address.",
    kind: 'counter',
    figures: [{ valueOf: (stats) => stats.sourceAddressFallbacks }],
  },
  {
    name: 'spliceport_session_log_dropped_total',
    help: 'Sessions and flows whose end is missing in the session log, because its reader was too slow.',
    kind: 'counter',
    figures: [{ valueOf: (stats) => stats.sessionLogDropped }],
  },
  {
    name: 'spliceport_flows_open',
    help: 'Open UDP flows.',
    kind: 'gauge',
    protocol: 'udp',
    figures: [{ valueOf: (stats) => stats.sessionsOpen }],
  },
  {
    name: 'spliceport_flows_total',
    help: 'UDP flows since the forward was added.',
    kind: 'counter',
    protocol: 'udp',
    figures: [{ valueOf: (stats) => stats.sessionsTotal }],
  },
  {
    name: 'spliceport_flows_failed_total',
    help: 'UDP flows whose target could not be reached.',
    kind: 'counter',
    protocol: 'udp',
    figures: connectFailures,
  },
  {
    name: 'spliceport_flows_evicted_total',
    help: 'UDP flows ended early to stay within the limit on flows.',
    kind: 'counter',
    protocol: 'udp',
    figures: [{ valueOf: (stats) => stats.flowsEvicted }],
  },
  {
    name: 'spliceport_flows_displaced_total',
    help: 'UDP flows ended early for newer ones, because the process had no descriptors left.',
    kind: 'counter',
    protocol: 'udp',
    figures: [{ valueOf: (stats) => stats.flowsDisplaced }],
  },
  {
    name: 'spliceport_datagrams_total',
    help: 'Datagrams relayed.',
    kind: 'counter',
    protocol: 'udp',
    figures: directions('datagramsToContainer', 'datagramsToHost'),
  },
  {
    name: 'spliceport_datagrams_refused_total',
    help: 'Datagrams that would have started a flow that the forward rejected.',
    kind: 'counter',
    protocol: 'udp',
    figures: refusals,
  },
  {
    name: 'spliceport_datagrams_dropped_total',
    help: 'Datagrams that were not relayed.',
    kind: 'counter',
    protocol: 'udp',
    figures: [
      { label: ['reason', 'not_taken'], valueOf: (stats) => stats.datagramsDropped },
      { label: ['reason', 'lost_in_kernel'], valueOf: (stats) => stats.datagramsLostInKernel },
    ],
  },
  {
    name: 'spliceport_bytes_total',
    help: 'Bytes relayed.',
    kind: 'counter',
    figures: directions('bytesToContainer', 'bytesToHost'),
  },
];

interface Sample {
  readonly forward: Forward;
  readonly labels: Readonly<Record<(typeof LABELS)[number], string>>;
  readonly stats: Stats;
}

/** The metrics of one forwarder. */
export class Metrics {
  readonly #forwarder: Forwarder;
  readonly #registry = new Registry();
  /** Of the scrape in progress. */
  #samples: readonly Sample[] = [];

  constructor({ forwarder, version, name, container }: Context) {
    this.#forwarder = forwarder;
    // Forwards are numbered from 1 in each forwarder: its name keeps the series of two apart.
    this.#registry.setDefaultLabels({
      forwarder: name,
      ...(container?.id !== undefined && { container: container.id }),
    });
    const registers = [this.#registry];
    const samples = () => this.#samples;
    const build = new Gauge({
      name: 'spliceport_build_info',
      help: 'Always 1; the version is a label.',
      labelNames: ['version'],
      registers,
      collect: () => {
        build.set({ version }, 1);
      },
    });
    const forwards = new Gauge({
      name: 'spliceport_forwards',
      help: 'Forwards that accept clients.',
      registers,
      collect: () => {
        forwards.set(samples().length);
      },
    });
    for (const rule of RULES) addMetric(this.#registry, rule, samples);
    this.#registry.registerMetric(new ConnectDurations(samples));
  }

  /** All of them, in Prometheus's text format. */
  async read(): Promise<{ readonly type: string; readonly content: string }> {
    this.#samples = this.#forwarder.list().map((forward): Sample => {
      const { id, protocol, host } = forward;
      const labels = { forward: String(id), protocol, host: formatEndpoint(host) };
      return { forward, labels, stats: this.#forwarder.stats(id) };
    });
    // Every metric collects its figures before the first of them waits, so scrapes do not mix.
    const content = await this.#registry.metrics();
    // A forwarder with thousands of ports does not keep their figures until the next scrape.
    this.#registry.resetMetrics();
    this.#samples = [];
    return { type: this.#registry.contentType, content };
  }
}

function addMetric(registry: Registry, rule: MetricRule, samples: () => readonly Sample[]): void {
  const { name, help, kind, protocol, figures } = rule;
  const own = figures.flatMap(({ label }) => (label === undefined ? [] : [label[0]]));
  const metric = new (kind === 'counter' ? Counter : Gauge)({
    name,
    help,
    labelNames: [...LABELS, ...new Set(own)],
    registers: [registry],
    collect: () => {
      metric.reset();
      for (const { forward, labels, stats } of samples()) {
        if (protocol !== undefined && forward.protocol !== protocol) continue;
        for (const { label, valueOf } of figures) {
          const all = label === undefined ? labels : { ...labels, [label[0]]: label[1] };
          metric.inc(all, valueOf(stats));
        }
      }
    },
  });
}

const connectDurations = {
  name: 'spliceport_connect_duration_seconds',
  help: 'Time that connects to the target took.',
  registers: [],
};

/**
 * A histogram whose buckets the engine has counted. prom-client's own takes one observation after
 * the other, so this is a metric that gives its values itself, under the type of a histogram.
 */
class ConnectDurations extends Gauge {
  readonly #histogram = new Histogram(connectDurations);
  readonly #samples: () => readonly Sample[];

  constructor(samples: () => readonly Sample[]) {
    super(connectDurations);
    this.#samples = samples;
  }

  override async get(): ReturnType<Histogram['get']> {
    const values = this.#samples()
      .filter(({ forward }) => forward.protocol === 'tcp')
      .flatMap(bucketsOf);
    return { ...(await this.#histogram.get()), values };
  }
}

type HistogramValue = Awaited<ReturnType<Histogram['get']>>['values'][number];

function bucketsOf({ labels, stats }: Sample): HistogramValue[] {
  const value = (suffix: string, figure: number, le?: number | string): HistogramValue => ({
    metricName: `${connectDurations.name}_${suffix}`,
    labels: { ...labels, ...(le !== undefined && { le }) },
    value: figure,
  });
  let count = 0;
  const buckets = stats.connectLatency.map((connects, index) => {
    const bound = CONNECT_LATENCY_BUCKETS_MICROS[index];
    return value('bucket', (count += connects), bound === undefined ? '+Inf' : bound / 1e6);
  });
  return [...buckets, value('sum', stats.connectMicrosTotal / 1e6), value('count', count)];
}
