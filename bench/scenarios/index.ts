// index.ts: all kinds of work, in the order of the report.

import type { Scenario } from '../types.js';
import { CLIENT_ADDRESS_SCENARIOS } from './client-address.js';
import { CONTAINER_SCENARIOS } from './containers.js';
import { DISTANT_SCENARIOS } from './distant.js';
import { IPERF3_SCENARIOS } from './iperf3.js';
import { LIFE_SCENARIOS } from './life.js';
import { SERVICE_SCENARIOS } from './services.js';
import { TCP_SCENARIOS } from './tcp.js';
import { UDP_SCENARIOS } from './udp.js';

/** Every scenario. */
export const SCENARIOS: readonly Scenario[] = [
  ...TCP_SCENARIOS,
  ...CLIENT_ADDRESS_SCENARIOS,
  ...UDP_SCENARIOS,
  ...SERVICE_SCENARIOS,
  ...IPERF3_SCENARIOS,
  ...DISTANT_SCENARIOS,
  ...CONTAINER_SCENARIOS,
  ...LIFE_SCENARIOS,
];

/**
 * The scenarios that the command line asks for: names, the start of names with `*`, groups,
 * `default` or `all`. Without any, those that make up a useful run of a few minutes.
 * @throws Error when a name fits none
 */
export function chooseScenarios(wanted: readonly string[]): Scenario[] {
  if (wanted.length === 0) return SCENARIOS.filter((scenario) => scenario.byDefault);
  const chosen = new Set<Scenario>();
  for (const pattern of wanted) {
    const found = SCENARIOS.filter((scenario) => matches(scenario, pattern));
    if (found.length === 0) throw new Error(`No scenario is called ${pattern}; see --list`);
    for (const scenario of found) chosen.add(scenario);
  }
  return SCENARIOS.filter((scenario) => chosen.has(scenario));
}

function matches(scenario: Scenario, pattern: string): boolean {
  if (pattern.endsWith('*')) return scenario.name.startsWith(pattern.slice(0, -1));
  if (pattern === 'default') return scenario.byDefault;
  return pattern === 'all' || pattern === scenario.group || pattern === scenario.name;
}
