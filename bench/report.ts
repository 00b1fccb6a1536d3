// report.ts: writes docs/benchmarks.md and its charts from the results of one run.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COSTS, drawChart, RATES } from './charts.js';
import { REFERENCE } from './drivers/index.js';
import type { Machine } from './machine.js';
import type { Results, ScenarioResult } from './results.js';
import { overviewOf, tableOf, toMarkdown } from './table.js';

const GROUPS = {
  tcp: 'TCP',
  udp: 'UDP',
  containers: 'Containers: start, memory, reload, end',
  life: 'Idle connections',
} as const;

const GROUP_ORDER = ['tcp', 'udp', 'containers', 'life'] as const;

function machineText(machine: Machine): string {
  const who = machine.privileged ? 'root' : 'an ordinary user';
  return [
    `- ${machine.date}, run by ${who}`,
    `- ${machine.processors} × ${machine.processor}, ${machine.memoryGib} GiB of memory`,
    `- ${machine.system}, Linux ${machine.kernel}, Node ${machine.node}, ${machine.compiler}`,
  ].join('\n');
}

function scenarioText(result: ScenarioResult): string {
  const { name, title } = result.scenario;
  const failures = result.rows
    .filter((row) => row.failure !== undefined)
    .map((row) => `- ${row.driver} failed: ${row.failure?.split('\n')[0] ?? ''}`);
  const rounds = Math.max(0, ...result.rows.map((row) => row.rounds.length));
  return [
    `### ${title}`,
    `\`${name}\`, ${rounds} rounds`,
    toMarkdown(tableOf(result)),
    failures.join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function groupText(group: keyof typeof GROUPS, results: readonly ScenarioResult[]): string {
  const ofGroup = results.filter((result) => result.scenario.group === group);
  if (ofGroup.length === 0) return '';
  const overview = group === 'containers' ? [toMarkdown(overviewOf(ofGroup))] : [];
  return [`## ${GROUPS[group]}`, ...overview, ...ofGroup.map(scenarioText)].join('\n\n');
}

function page(results: Results): string {
  const { rounds, seconds, warmup } = results.timing;
  const versions = Object.entries(results.versions).map(
    ([label, version]) => `| ${label} | ${version} | ${results.origins?.[label] ?? ''} |`,
  );
  const parts = [
    '# Benchmarks',
    `\`npm run bench\` writes this page; bench/README.md documents how it measures.
Client, forwarder and server share the processors, so ratios mean more than rates.

Figures are medians of ${rounds} rounds of ${seconds} s, each after ${warmup} s of warm-up, unless a table says another number; the programs took turns.
The spread of the leading figure is in parentheses.
Ratios compare medians.
"Best peer" is the best of the other projects' programs; "direct" is the client inside the container, without a forwarder.`,
    machineText(results.machine),
    ['| program | version | from |', '| --- | --- | --- |', ...versions].join('\n'),
    `![Rates as multiples of ${REFERENCE}'s](benchmarks-rate.svg)`,
    `![CPU time as multiples of ${REFERENCE}'s](benchmarks-cpu.svg)`,
    ...GROUP_ORDER.map((group) => groupText(group, results.scenarios)),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** Writes the page and its charts to a folder; their paths. */
export async function writeReport(folder: string, results: Results): Promise<string[]> {
  const files = {
    'benchmarks.md': page(results),
    'benchmarks-rate.svg': await drawChart(results.scenarios, RATES),
    'benchmarks-cpu.svg': await drawChart(results.scenarios, COSTS),
  };
  return Object.entries(files).map(([name, text]) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  });
}
