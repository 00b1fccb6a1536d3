// table.ts: a scenario's results as rows of text, for the terminal and for Markdown.

import { REFERENCE } from './drivers/index.js';
import { digits, METRICS, styleOf } from './metrics.js';
import { type Comparison, compare, type ScenarioResult } from './results.js';
import type { Metric } from './types.js';

/** A heading and cells, all text. */
export interface Table {
  readonly heading: string[];
  readonly rows: string[][];
}

function multiple(value: number | undefined): string {
  return value === undefined ? '' : `${value.toFixed(2)}×`;
}

function shownMetrics(result: ScenarioResult, comparisons: readonly Comparison[]): Metric[] {
  const { headline } = result.scenario;
  const present = METRICS.filter((metric) =>
    comparisons.some((comparison) => comparison.figures[metric] !== undefined),
  );
  return [headline, ...present.filter((metric) => metric !== headline)];
}

/**
 * Medians of every figure; the headline with its spread and ratios, the processor time with its
 * ratio.
 */
export function tableOf(result: ScenarioResult): Table {
  const comparisons = compare(result, REFERENCE);
  const metrics = shownMetrics(result, comparisons);
  const { headline } = result.scenario;
  const heading = ['program'];
  for (const metric of metrics) {
    heading.push(styleOf(metric, result.scenario).label);
    if (metric === headline) heading.push('(min–max)', `× ${REFERENCE}`, '× best peer');
    if (metric === 'cpu') heading.push(`× ${REFERENCE}`);
  }
  const rows = comparisons.map((comparison) => {
    const cells = [comparison.driver];
    for (const metric of metrics) {
      const summary = comparison.figures[metric];
      const style = styleOf(metric, result.scenario);
      cells.push(summary === undefined ? '' : style.format(summary.median));
      if (metric === headline) {
        cells.push(
          summary === undefined ? '' : `${digits(summary.min)}–${digits(summary.max)}`,
          multiple(comparison.toReference),
          multiple(comparison.toBestPeer),
        );
      }
      if (metric === 'cpu') cells.push(multiple(comparison.cpuToReference));
    }
    if (comparison.failure !== undefined) cells[1] ||= 'failed';
    return cells;
  });
  return { heading, rows };
}

/** A line for each scenario: the median of its leading figure, for every program. */
export function overviewOf(results: readonly ScenarioResult[]): Table {
  const programs = [...new Set(results.flatMap(({ rows }) => rows.map((row) => row.driver)))];
  const rows = results.map((result) => {
    const { headline, title } = result.scenario;
    const style = styleOf(headline, result.scenario);
    const comparisons = compare(result, REFERENCE);
    const cells = programs.map((program) => {
      const found = comparisons.find(({ driver }) => driver === program);
      const median = found?.figures[headline]?.median;
      return median === undefined ? '' : style.format(median);
    });
    return [`${title}, ${style.label}`, ...cells];
  });
  return { heading: ['', ...programs], rows };
}

/** Columns padded with blanks: the first to the left, figures to the right. */
export function toText(table: Table): string {
  const lines = [table.heading, ...table.rows];
  const widths = table.heading.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines
    .map((line) =>
      widths
        .map((width, column) => {
          const cell = line[column] ?? '';
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A table of GitHub's Markdown. */
export function toMarkdown(table: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = table.heading.map((_, column) => (column === 0 ? '---' : '--:'));
  return [table.heading, rule, ...table.rows].map(line).join('\n');
}
