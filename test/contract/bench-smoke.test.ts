// bench-smoke.test.ts: the benchmark itself, on the shortest of runs.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Results } from '../../bench/results.js';
import { iproute2, isMissing, type Tool } from '../helpers/tools.js';

const run = promisify(execFile);
const bench = fileURLToPath(new URL('../../bench/run.mjs', import.meta.url));
const nsenter: Tool = { command: 'nsenter', package: 'util-linux' };
const compiler: Tool = { command: process.env['CXX'] ?? 'c++', package: 'g++' };
const missing = [iproute2, nsenter, compiler].some((tool) => isMissing(tool, 'the benchmark'));

describe.skipIf(missing)('npm run bench', () => {
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'spliceport-bench-'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  async function measure(...scenarios: string[]): Promise<Results> {
    const json = path.join(directory, 'results.json');
    const brief = ['--rounds', '1', '--seconds', '0.1', '--warmup', '0.05'];
    await run(process.execPath, [
      ...[bench, ...brief, '--json', json, '--driver', 'spliceport', '--driver', 'direct'],
      ...scenarios.flatMap((name) => ['--scenario', name]),
    ]);
    return JSON.parse(readFileSync(json, 'utf8')) as Results;
  }

  it('measures rate, latency and processor time of spliceport', { timeout: 90_000 }, async () => {
    const results = await measure('bulk-up-1', 'rr-1-1', 'crr-16', 'udp-rr-16');
    expect(results.scenarios.map((scenario) => scenario.scenario.name)).toHaveLength(4);
    for (const { scenario, rows } of results.scenarios) {
      const [spliceport, direct] = rows;
      expect(spliceport?.failure, scenario.name).toBeUndefined();
      expect(spliceport?.rounds[0]?.rate, scenario.name).toBeGreaterThan(0);
      expect(spliceport?.rounds[0]?.cpu, scenario.name).toBeGreaterThan(0);
      expect(direct?.rounds[0]?.rate, scenario.name).toBeGreaterThan(0);
      expect(direct?.rounds[0]?.cpu, scenario.name).toBeUndefined();
    }
  });

  it('refuses a scenario that it does not know', { timeout: 60_000 }, async () => {
    await expect(measure('no-such-scenario')).rejects.toThrow(/No scenario is called/);
  });
});
