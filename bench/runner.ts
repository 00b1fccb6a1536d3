// runner.ts: runs every scenario with every program, round by round, so that all run under the same
// conditions.

import type { Lab } from './lab.js';
import { digits, styleOf } from './metrics.js';
import type { Row, ScenarioResult } from './results.js';
import { rotate } from './statistics.js';
import type { Driver, Figures, Scenario, Timing } from './types.js';

/** After so many failures in a scenario, a program is given up there. */
const FAILURES_TO_STOP = 2;

/** What is to be measured. */
export interface Plan {
  readonly scenarios: readonly Scenario[];
  readonly drivers: readonly Driver[];
  readonly rounds: number;
  /** For scenarios of the group `containers`. */
  readonly containerRounds: number;
  readonly timing: Timing;
}

/** Whether a program can do this work at all. */
export function canDo(driver: Driver, scenario: Scenario): boolean {
  return driver.protocols.includes(scenario.protocol) && (scenario.suits?.(driver) ?? true);
}

/** How often each program does this work. */
export function roundsOf(
  plan: Pick<Plan, 'rounds' | 'containerRounds'>,
  scenario: Pick<Scenario, 'group' | 'maxRounds'>,
): number {
  const rounds = scenario.group === 'containers' ? plan.containerRounds : plan.rounds;
  return Math.min(rounds, scenario.maxRounds ?? rounds);
}

/** Reports progress, and when the run should end. */
class Progress {
  readonly #total: number;
  readonly #begunAt = Date.now();
  #done = 0;

  constructor(
    plan: Plan,
    private readonly print: (line: string) => void,
  ) {
    const items = plan.scenarios.map(
      (scenario) =>
        roundsOf(plan, scenario) * plan.drivers.filter((driver) => canDo(driver, scenario)).length,
    );
    this.#total = items.reduce((sum, count) => sum + count, 0);
  }

  report(round: number, scenario: Scenario, driver: Driver, what: string): void {
    this.#done++;
    const perItem = (Date.now() - this.#begunAt) / this.#done;
    const left = Math.round(((this.#total - this.#done) * perItem) / 1_000);
    const place = `${this.#done}/${this.#total}`.padStart(9);
    this.print(
      `${place}  ${formatDuration(left).padStart(6)} left  ${scenario.name.padEnd(16)} ` +
        `round ${round + 1}  ${driver.label.padEnd(16)} ${what}`,
    );
  }
}

function formatDuration(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function inBrief(figures: Figures, scenario: Scenario): string {
  return [...new Set([scenario.headline, 'rate', 'cpu'] as const)]
    .flatMap((metric) => {
      const value = figures[metric];
      return value === undefined ? [] : [`${digits(value)} ${styleOf(metric, scenario).label}`];
    })
    .join(', ');
}

/** One program in one scenario, as the rounds go by. */
class Attempts {
  readonly row: Row;
  #failures = 0;

  constructor(
    readonly driver: Driver,
    private readonly scenario: Scenario,
  ) {
    this.row = { driver: driver.label, kind: driver.kind, rounds: [] };
  }

  /** Measures once; returns the result in a few words. */
  async once(lab: Lab, timing: Timing): Promise<string> {
    if (this.#failures >= FAILURES_TO_STOP) return 'given up';
    try {
      const figures = await this.scenario.measure(lab, this.driver, timing);
      this.row.rounds.push(figures);
      return inBrief(figures, this.scenario);
    } catch (error) {
      this.#failures++;
      this.row.failure = error instanceof Error ? error.message : String(error);
      return `failed: ${this.row.failure}`;
    }
  }
}

async function runScenario(
  lab: Lab,
  plan: Plan,
  scenario: Scenario,
  progress: Progress,
): Promise<ScenarioResult> {
  const attempts = plan.drivers
    .filter((driver) => canDo(driver, scenario))
    .map((driver) => new Attempts(driver, scenario));
  for (let round = 0; round < roundsOf(plan, scenario); round++) {
    for (const attempt of rotate(attempts, round)) {
      const outcome = await attempt.once(lab, plan.timing);
      progress.report(round, scenario, attempt.driver, outcome);
    }
  }
  const { name, title, group, protocol, unit, headline, byDefault } = scenario;
  return {
    scenario: { name, title, group, protocol, unit, headline, byDefault },
    rows: attempts.map((attempt) => attempt.row),
  };
}

/** Measures everything; `onScenario` gets each result as soon as it is complete. */
export async function runPlan(
  lab: Lab,
  plan: Plan,
  print: (line: string) => void,
  onScenario: (result: ScenarioResult) => void,
): Promise<ScenarioResult[]> {
  const progress = new Progress(plan, print);
  const results: ScenarioResult[] = [];
  for (const scenario of plan.scenarios) {
    const result = await runScenario(lab, plan, scenario, progress);
    results.push(result);
    onScenario(result);
  }
  return results;
}
