// main.ts: the benchmark inside its namespaces: reads the options, measures, reports.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_DRIVERS, DRIVER_KINDS, parseDriver } from './drivers/index.js';
import { Lab } from './lab.js';
import { describeMachine } from './machine.js';
import { type BenchOptions, parseOptions, USAGE } from './options.js';
import { which } from './process.js';
import { writeReport } from './report.js';
import type { Results } from './results.js';
import { canDo, runPlan } from './runner.js';
import { chooseScenarios, SCENARIOS } from './scenarios/index.js';
import { tableOf, toText } from './table.js';
import type { Driver, Scenario } from './types.js';

const BENCH = fileURLToPath(new URL('..', import.meta.url));

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function list(drivers: readonly string[]): void {
  print('Scenarios (* by default):');
  for (const { name, title, byDefault } of SCENARIOS) {
    print(`  ${byDefault ? '*' : ' '} ${name.padEnd(18)} ${title}`);
  }
  print('\nDrivers (* by default):');
  for (const text of drivers.length > 0 ? drivers : DRIVER_KINDS) {
    const driver = parseDriver(text);
    const mark = DEFAULT_DRIVERS.includes(text) ? '*' : ' ';
    const found = driver.missing() ?? `${driver.version()}, ${driver.origin()}`;
    print(`  ${mark} ${driver.label.padEnd(18)} ${found}`);
  }
}

/** Those that can run; a driver that was asked for by name must. */
function chooseDrivers(options: BenchOptions): Driver[] {
  const named = options.drivers.length > 0;
  return (named ? options.drivers : DEFAULT_DRIVERS).map(parseDriver).filter((driver) => {
    const missing = driver.missing();
    if (missing === undefined) return true;
    if (named) throw new Error(missing);
    print(`Without ${driver.label}: ${missing}`);
    return false;
  });
}

function withTools(scenarios: readonly Scenario[], named: boolean): Scenario[] {
  return scenarios.filter((scenario) => {
    const missing = (scenario.needs ?? []).filter((tool) => which(tool) === undefined);
    if (missing.length === 0) return true;
    const text = `${scenario.name} needs ${missing.join(' and ')}: bench/install-peers.sh`;
    if (named) throw new Error(text);
    print(`Without ${text}`);
    return false;
  });
}

async function measure(options: BenchOptions): Promise<Results> {
  const drivers = chooseDrivers(options);
  const scenarios = withTools(
    chooseScenarios(options.scenarios),
    options.scenarios.length > 0,
  ).filter((scenario) => drivers.some((driver) => canDo(driver, scenario)));
  const timing = { seconds: options.seconds, warmup: options.warmup };
  const { rounds, containerRounds } = options;
  const plan = { scenarios, drivers, rounds, containerRounds, timing };
  const results = await runPlan(Lab.open(join(BENCH, 'build')), plan, print, (result) => {
    print(`\n${result.scenario.title}\n${toText(tableOf(result))}\n`);
  });
  return {
    machine: describeMachine(),
    versions: Object.fromEntries(drivers.map((driver) => [driver.label, driver.version()])),
    origins: Object.fromEntries(drivers.map((driver) => [driver.label, driver.origin()])),
    timing: { ...timing, rounds },
    scenarios: results,
  };
}

function save(path: string, results: Results): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(results, null, 1)}\n`);
  print(`Results: ${path}`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    print(USAGE);
    return;
  }
  if (options.list) {
    list(options.drivers);
    return;
  }
  const results =
    options.from === undefined
      ? await measure(options)
      : (JSON.parse(readFileSync(options.from, 'utf8')) as Results);
  if (options.from === undefined) save(options.json ?? defaultPath(), results);
  if (options.docs) {
    for (const path of await writeReport(join(BENCH, '../docs'), results)) {
      print(`Written: ${path}`);
    }
  }
}

function defaultPath(): string {
  const stamp = new Date().toISOString().replace(/[:.]/g, '-');
  return join(BENCH, 'results', `${stamp}.json`);
}

try {
  await main();
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
