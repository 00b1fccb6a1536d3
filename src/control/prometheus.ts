// prometheus.ts: the counters as Prometheus reads them. spec/counters.ts says what each is; the
// figures are read on a scrape.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { formatEndpoint } from '../address.js';
import { CONNECT_LATENCY_BUCKETS_MICROS, type Forward, type Stats } from '../index.js';
import type { ForwarderOperations } from '../operations.js';
import { forwarderMetrics, metrics, type Metric } from '../spec/counters.js';
import type { Context } from './context.js';

const LABELS = ['forward', 'protocol', 'host'] as const;

interface Sample {
  readonly forward: Forward;
  readonly labels: Readonly<Record<(typeof LABELS)[number], string>>;
  readonly stats: Stats;
}

/** The metrics of one forwarder. */
export class Metrics {
  readonly #forwarder: ForwarderOperations;
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
    const { buildInfo } = forwarderMetrics;
    const build = new Gauge({
      name: buildInfo.name,
      help: buildInfo.help,
      labelNames: buildInfo.labels,
      registers,
      collect: () => {
        build.set({ version }, 1);
      },
    });
    const forwards = new Gauge({
      name: forwarderMetrics.forwards.name,
      help: forwarderMetrics.forwards.help,
      registers,
      collect: () => {
        forwards.set(samples().length);
      },
    });
    for (const metric of metrics) {
      const { protocol, kind } = metric;
      const own = () =>
        samples().filter(({ forward }) => protocol === undefined || forward.protocol === protocol);
      if (kind === 'histogram') this.#registry.registerMetric(new ConnectDurations(metric, own));
      else addMetric(this.#registry, metric, own);
    }
  }

  /** All of them, in Prometheus's text format. */
  async read(): Promise<{ readonly type: string; readonly content: string }> {
    const samples = this.#forwarder.list().map(async (forward): Promise<Sample> => {
      const { id, protocol, host } = forward;
      const labels = { forward: String(id), protocol, host: formatEndpoint(host) };
      return { forward, labels, stats: await this.#forwarder.stats(id) };
    });
    this.#samples = await Promise.all(samples);
    // Every metric collects its figures before the first of them waits, so scrapes do not mix.
    const content = await this.#registry.metrics();
    // A forwarder with thousands of ports does not keep their figures until the next scrape.
    this.#registry.resetMetrics();
    this.#samples = [];
    return { type: this.#registry.contentType, content };
  }
}

function addMetric(registry: Registry, rule: Metric, samples: () => readonly Sample[]): void {
  const { name, help, kind, figures } = rule;
  const own = figures.flatMap(({ label }) => (label === undefined ? [] : [label[0]]));
  const metric = new (kind === 'counter' ? Counter : Gauge)({
    name,
    help,
    labelNames: [...LABELS, ...new Set(own)],
    registers: [registry],
    collect: () => {
      metric.reset();
      for (const { labels, stats } of samples()) {
        for (const { label, counter, without } of figures) {
          const all = label === undefined ? labels : { ...labels, [label[0]]: label[1] };
          metric.inc(all, stats[counter] - (without === undefined ? 0 : stats[without]));
        }
      }
    },
  });
}

/**
 * A histogram whose buckets the engine has counted. prom-client's own takes one observation after
 * the other, so this is a metric that gives its values itself, under the type of a histogram.
 */
class ConnectDurations extends Gauge {
  readonly #name: string;
  readonly #histogram: Histogram;
  readonly #samples: () => readonly Sample[];

  constructor({ name, help }: Metric, samples: () => readonly Sample[]) {
    const itself = { name, help, registers: [] };
    super(itself);
    this.#name = name;
    this.#histogram = new Histogram(itself);
    this.#samples = samples;
  }

  override async get(): ReturnType<Histogram['get']> {
    const values = this.#samples().flatMap((sample) => bucketsOf(this.#name, sample));
    return { ...(await this.#histogram.get()), values };
  }
}

type HistogramValue = Awaited<ReturnType<Histogram['get']>>['values'][number];

function bucketsOf(name: string, { labels, stats }: Sample): HistogramValue[] {
  const value = (suffix: string, figure: number, le?: number | string): HistogramValue => ({
    metricName: `${name}_${suffix}`,
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
