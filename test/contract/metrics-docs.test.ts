// Holds docs/metrics.md and docs/grafana-dashboard.json against the metrics of a real forwarder.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openControlSocket } from '../../src/control/listen.js';
import { Forwarder } from '../../src/index.js';
import { call, Controlled } from './helpers/control.js';
import { codeIn, rowsOf } from './helpers/doc-page.js';

const docs = fileURLToPath(new URL('../../docs/', import.meta.url));
const page = readFileSync(`${docs}metrics.md`, 'utf8');

/**
 * The labels of every metric, and of every metric of a forward, which the page tells of ahead of
 * its table.
 */
const COMMON_LABELS = ['forwarder', 'container', 'forward', 'protocol', 'host'];

/** What `spliceport metrics` adds. */
const NAME_LABEL = 'container_name';

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number };
  readonly targets?: readonly Target[];
}

interface Dashboard {
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly definition?: string }[];
  };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(readFileSync(`${docs}grafana-dashboard.json`, 'utf8')) as Dashboard;

const alerts = rowsOf(page, 'Alerts worth having').map(
  ([, expression]) => codeIn(expression)[0] ?? '',
);
const targets = dashboard.panels.flatMap(({ title, targets: list = [] }) =>
  list.map((target) => ({ ...target, title })),
);

/** As Grafana fills in what it knows. */
const filled = (expression: string) =>
  expression
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$name', '.*')
    .replaceAll('$container', '.*')
    .replaceAll('$host', '.*');

/** What an expression names, by the grammar of Prometheus. */
function namesIn(expression: string): { metrics: string[]; labels: string[]; faults: string[] } {
  const found: Record<string, string[]> = { Identifier: [], LabelName: [], '⚠': [] };
  parser.parse(expression).iterate({
    enter: ({ name, type, from, to }) => {
      const key = type.isError ? '⚠' : name;
      found[key]?.push(expression.slice(from, to));
    },
  });
  const { Identifier: metrics = [], LabelName: labels = [], '⚠': faults = [] } = found;
  return { metrics, labels, faults };
}

let controlled: Controlled;
/** Each metric with its type and its own labels and their values. */
let served: [name: string, type: string, labels: string[]][];
/** The labels of each sample, by its name: those of a histogram have three. */
const samples = new Map<string, Set<string>>();

beforeAll(async () => {
  controlled = new Controlled('/proc/self/ns/net', { container: { id: 'c0ffee' } });
  await controlled.forwarder.addAll(['127.0.0.1:0:80', '127.0.0.1:0:53/udp']);
  const { text } = await controlled.call('GET', '/metrics');
  for (const [, sample = '', list = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const labels = samples.get(sample) ?? new Set();
    for (const [, label = ''] of list.matchAll(/(\w+)="/g)) labels.add(label);
    samples.set(sample, labels);
  }
  served = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => {
    const labels = new Map<string, Set<string>>();
    for (const [, list = ''] of text.matchAll(new RegExp(`^${name}\\{(.*)\\}`, 'gm'))) {
      for (const [, label = '', value = ''] of list.matchAll(/(\w+)="([^"]*)"/g)) {
        if (COMMON_LABELS.includes(label)) continue;
        labels.set(label, (labels.get(label) ?? new Set()).add(value));
      }
    }
    const values = (label: string) => (label === 'version' ? [] : [...(labels.get(label) ?? [])]);
    return [name, type, [...labels.keys()].flatMap((label) => [label, ...values(label)])];
  });
});
afterAll(() => controlled[Symbol.asyncDispose]());

/** What is wrong with an expression. */
function faultsOf(expression: string): string[] {
  const { metrics, labels, faults } = namesIn(expression);
  const known = new Set(metrics.flatMap((name) => [...(samples.get(name) ?? [])]));
  known.add(NAME_LABEL);
  return [
    ...faults.map((fault) => `cannot be read at ${JSON.stringify(fault)}`),
    ...metrics.filter((name) => !samples.has(name)).map((name) => `${name} is not served`),
    ...labels.filter((label) => !known.has(label)).map((label) => `there is no label ${label}`),
    ...(metrics.length === 0 ? ['names no metric'] : []),
  ];
}

describe('the check of PromQL expressions', () => {
  test.each([
    'spliceport_nothing_total',
    'rate(spliceport_bytes_total[5m]',
    'sum by (reason) (rate(spliceport_bytes_total[5m]))',
    'spliceport_bytes_total{port="1"}',
    'spliceport_connect_duration_seconds',
    '1',
  ])('rejects %s', (expression) => {
    expect(faultsOf(expression)).not.toEqual([]);
  });
});

describe('docs/metrics.md', () => {
  test('lists every metric with its type, its labels and their values, and no other', () => {
    const listed = rowsOf(page, 'Every metric').map(([name, type, labels]) => [
      ...codeIn(name),
      type,
      codeIn(labels),
    ]);
    const scraped = served.filter(([, type]) => type !== 'histogram');
    const [histogram] = served.filter(([, type]) => type === 'histogram');
    expect(histogram?.[0]).toBe('spliceport_connect_duration_seconds');
    expect(listed.sort()).toEqual(
      [...scraped, ['spliceport_connect_duration_seconds', 'histogram', []]].sort(),
    );
  });

  test('is correct that no two forwarders share a series', async () => {
    await using forwarder = new Forwarder({ netns: { path: '/proc/self/ns/net' } });
    await forwarder.addAll(['127.0.0.1:0:80', '127.0.0.1:0:53/udp']);
    using other = openControlSocket(forwarder, {
      folder: controlled.folder,
      container: { id: 'c0ffee' },
    });
    const texts = [controlled.path, other.path].map(
      async (path) => (await call(path, 'GET', '/metrics')).text,
    );
    const both = (await Promise.all(texts)).join('');
    const series = [...both.matchAll(/^(\w+(?:\{.*\})?) \S+$/gm)].map(([, name]) => name);
    expect(series.length).toBeGreaterThan(50);
    expect(series.filter((name, index) => series.indexOf(name) !== index)).toEqual([]);
  });

  test('documents the protocol that a metric is for', async () => {
    const { text } = await controlled.call('GET', '/metrics');
    for (const [metric, , , , of = ''] of rowsOf(page, 'Every metric')) {
      const [name = ''] = codeIn(metric);
      const has = (protocol: string) =>
        new RegExp(`^${name}(?:_count)?\\{.*protocol="${protocol}"`, 'm').test(text);
      const protocols = of === 'forwarder' ? [] : of.toLowerCase().split(', ');
      expect([name, ['tcp', 'udp'].filter(has)]).toEqual([name, protocols]);
    }
  });

  test('has alerts', () => {
    expect(alerts.length).toBeGreaterThan(5);
  });
  test.each(alerts)('has a valid alert: %s', (expression) => {
    expect(faultsOf(expression)).toEqual([]);
  });
});

describe('docs/grafana-dashboard.json', () => {
  test.each(targets)('queries metrics that exist in "$title": $expr', ({ expr, legendFormat }) => {
    expect(faultsOf(filled(expr))).toEqual([]);
    // What the legend names must be left after the sum.
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      const kept = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ');
      if (kept !== undefined) expect(kept).toContain(label);
      else expect(samples.get(namesIn(expr).metrics[0] ?? '')).toContain(label);
    }
  });

  test('shows every metric', () => {
    const asked = targets.flatMap(({ expr }) => namesIn(filled(expr)).metrics);
    const wanted = served.map(([name]) => name);
    const bases = asked.map((name) => name.replace(/(_seconds)_(?:bucket|sum|count)$/, '$1'));
    expect([...new Set(bases)].sort()).toEqual([...wanted].sort());
  });

  test.each([
    ['name', NAME_LABEL],
    ['container', 'container'],
    ['host', 'host'],
  ])('can be filtered by the variable %s, from the label %s', (name, wanted) => {
    const variable = dashboard.templating.list.find((each) => each.name === name);
    const [, metric = '', label = ''] =
      /^label_values\((\w+)(?:\{.*\})?, (\w+)\)$/.exec(variable?.definition ?? '') ?? [];
    expect([...(samples.get(metric) ?? []), NAME_LABEL]).toContain(label);
    expect(label).toBe(wanted);
  });

  test.each(targets)('filters "$title" by the chosen labels: $expr', ({ expr }) => {
    const filters = [...expr.matchAll(/spliceport_\w+(\{.*?\})?/g)].map(([, filter]) => filter);
    for (const filter of filters) {
      expect(filter).toContain('container_name=~"$name", container=~"$container"');
    }
  });

  test('has panels with different ids that do not overlap', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const places = dashboard.panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
    expect(new Set(places).size).toBe(places.length);
    for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThan(25);
  });
});
