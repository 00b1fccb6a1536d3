// metrics.ts: the name, format and direction of each figure.

import type { Metric, Scenario } from './types.js';

/** How one figure is shown. */
export interface MetricStyle {
  readonly label: string;
  readonly better: 'higher' | 'lower';
  readonly format: (value: number) => string;
}

/** Three significant digits, with thousands separated. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const decimals = Math.min(6, Math.max(0, 2 - magnitude));
  return value.toLocaleString('en-US', {
    minimumFractionDigits: Math.min(decimals, 3),
    maximumFractionDigits: Math.min(decimals, 3),
  });
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

const STYLES: Record<Metric, MetricStyle> = {
  rate: { label: 'rate', better: 'higher', format: digits },
  cpu: { label: 'CPU', better: 'lower', format: digits },
  p50Micros: { label: 'p50 µs', better: 'lower', format: digits },
  p99Micros: { label: 'p99 µs', better: 'lower', format: digits },
  errors: { label: 'errors', better: 'lower', format: whole },
  lossPercent: { label: 'loss %', better: 'lower', format: digits },
  goneMs: { label: 'port free ms', better: 'lower', format: digits },
  reloadMs: { label: 'reload ms', better: 'lower', format: digits },
  slowestMs: { label: 'slowest ms', better: 'lower', format: digits },
  readyMs: { label: 'ready ms', better: 'lower', format: digits },
  stopMs: { label: 'gone ms', better: 'lower', format: digits },
  memoryKib: { label: 'memory KiB', better: 'lower', format: whole },
  eachKib: { label: 'KiB each', better: 'lower', format: whole },
  eachPssKib: { label: 'Pss KiB each', better: 'lower', format: whole },
  allKib: { label: 'KiB all told', better: 'lower', format: whole },
  allPssKib: { label: 'Pss KiB all told', better: 'lower', format: whole },
  aloneKib: { label: 'KiB without resident', better: 'lower', format: whole },
  alonePssKib: { label: 'Pss KiB without resident', better: 'lower', format: whole },
  memoryPerConnection: { label: 'bytes each', better: 'lower', format: whole },
  fdsPerConnection: { label: 'fds each', better: 'lower', format: digits },
  held: { label: 'held', better: 'higher', format: whole },
  broken: { label: 'sessions broken', better: 'lower', format: whole },
  reloads: { label: 'reloads', better: 'higher', format: whole },
};

/** Every figure, in the order of the tables' columns. */
export const METRICS = Object.keys(STYLES) as readonly Metric[];

/** How a figure of this scenario is shown; its units are in the label. */
export function styleOf(metric: Metric, scenario: Pick<Scenario, 'unit'>): MetricStyle {
  const style = STYLES[metric];
  if (metric === 'rate') return { ...style, label: scenario.unit };
  if (metric === 'cpu') {
    return { ...style, label: scenario.unit === 'Gb/s' ? 'CPU s/GB' : 'CPU µs/op' };
  }
  return style;
}
