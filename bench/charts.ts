// charts.ts: bars that compare the programs, drawn by ECharts without a browser.

import type { BarSeriesOption, EChartsOption } from 'echarts';
import { REFERENCE } from './drivers/index.js';
import { type Comparison, compare, type ScenarioResult } from './results.js';

const WIDTH = 900;
const BAR_HEIGHT = 11;
const GROUP_GAP = 18;
const MARGINS = { top: 78, bottom: 40, left: 250, right: 50 };
const COLORS = ['#c2410c', '#475569', '#0e7490', '#7c3aed', '#4d7c0f', '#be185d', '#a16207'];

/** What a chart shows of a comparison. */
export interface ChartKind {
  readonly title: string;
  readonly subtitle: string;
  readonly value: (comparison: Comparison) => number | undefined;
}

/** Rates: longer is better. */
export const RATES: ChartKind = {
  title: `Rate, as a multiple of ${REFERENCE}'s`,
  subtitle: 'Medians of one run; longer is better.',
  value: (comparison) => comparison.toReference,
};

/** CPU time: shorter is better. */
export const COSTS: ChartKind = {
  title: `CPU time per byte or operation, as a multiple of ${REFERENCE}'s`,
  subtitle: 'All of a program’s processes, medians of one run; shorter is better.',
  value: (comparison) => comparison.cpuToReference,
};

/** Rows that have the value; the direct connection is no program and dwarfs all. */
function chartRows(
  results: readonly ScenarioResult[],
): { title: string; comparisons: Comparison[] }[] {
  return results
    .filter((result) => result.scenario.headline === 'rate')
    .map((result) => ({
      title: result.scenario.title,
      comparisons: compare(result, REFERENCE).filter((row) => row.kind !== 'direct'),
    }));
}

/** A chart as SVG text. */
export async function drawChart(
  results: readonly ScenarioResult[],
  kind: ChartKind,
): Promise<string> {
  // Loaded here: most runs draw nothing.
  const echarts = await import('echarts');
  const rows = chartRows(results);
  const programs = [
    ...new Set(rows.flatMap((row) => row.comparisons.map((comparison) => comparison.driver))),
  ];
  const series = programs.map((name): BarSeriesOption => ({
    type: 'bar',
    name,
    barWidth: BAR_HEIGHT - 2,
    barGap: '22%',
    data: rows.map((row) => {
      const found = row.comparisons.find((comparison) => comparison.driver === name);
      return (found === undefined ? undefined : kind.value(found)) ?? null;
    }),
    label: {
      show: true,
      position: 'right',
      fontSize: 9,
      formatter: ({ value }) => (typeof value === 'number' ? value.toFixed(2) : ''),
    },
  }));
  const height =
    MARGINS.top + MARGINS.bottom + rows.length * (programs.length * BAR_HEIGHT + GROUP_GAP);
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption(
    chartOption(
      kind,
      rows.map((row) => row.title),
      series,
    ),
  );
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function chartOption(
  kind: ChartKind,
  categories: readonly string[],
  series: BarSeriesOption[],
): EChartsOption {
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'Helvetica, Arial, sans-serif' },
    color: COLORS,
    title: {
      text: kind.title,
      subtext: kind.subtitle,
      left: 10,
      top: 6,
      textStyle: { fontSize: 15 },
    },
    legend: { top: 50, left: 10, itemWidth: 12, itemHeight: 10, itemGap: 24 },
    grid: MARGINS,
    xAxis: { type: 'value', splitLine: { lineStyle: { color: '#e2e8f0' } } },
    yAxis: {
      type: 'category',
      inverse: true,
      data: [...categories],
      axisTick: { show: false },
      axisLabel: { width: MARGINS.left - 50, overflow: 'break', fontSize: 10 },
    },
    series,
  };
}
