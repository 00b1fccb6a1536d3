// bench-smoke.test.ts: the benchmark itself, on the shortest of runs.

import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Results, ScenarioResult } from '../../bench/results.js';
import { isRoot } from '../../bench/root.js';
import { cpuSeconds } from '../../bench/usage.js';
import { iproute2, isMissing, type Tool } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';

const run = promisify(execFile);
const bench = fileURLToPath(new URL('../../bench/run.mjs', import.meta.url));
const needed: readonly Tool[] = [
  iproute2,
  { command: 'nsenter', package: 'util-linux' },
  { command: process.env['CXX'] ?? 'c++', package: 'g++' },
];
const peers: readonly Tool[] = [
  { command: '/usr/lib/podman/rootlessport', package: 'podman' },
  { command: 'pasta', package: 'passt' },
  { command: 'haproxy', package: 'haproxy' },
  { command: 'docker-proxy', package: 'docker.io' },
  { command: 'socat', package: 'socat' },
  { command: 'slirp4netns', package: 'slirp4netns' },
];
const loads: readonly Tool[] = [
  { command: 'iperf3', package: 'iperf3' },
  { command: 'wrk', package: 'wrk' },
  { command: 'nginx', package: 'nginx-light' },
  { command: 'dnsmasq', package: 'dnsmasq-base' },
  { command: 'dnsperf', package: 'dnsperf' },
];
/** The Debian roots that are there, as for the tests with Podman. */
const roots = ['trixie', 'sid']
  .map((suite) => path.join(process.env['SPLICEPORT_ROOTS'] ?? '/var/cache/spliceport', suite))
  .filter(isRoot);
const missing = (tools: readonly Tool[]): boolean =>
  tools.some((tool) => isMissing(tool, 'a test of the benchmark'));

/** The processes with this text among their arguments. */
function marked(text: string): number[] {
  return processes().filter((pid) => readProc(`/proc/${pid}/cmdline`).includes(text));
}

function processes(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

function readProc(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? 0);
}

function descendantsOf(roots: readonly number[]): number[] {
  const children = processes().filter(
    (pid) => !roots.includes(pid) && roots.includes(parentOf(pid)),
  );
  return children.length === 0 ? [] : [...children, ...descendantsOf(children)];
}

describe.skipIf(missing(needed))('npm run bench', { timeout: 120_000 }, () => {
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'spliceport-bench-'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  async function measure(drivers: string, scenarios: string): Promise<ScenarioResult[]> {
    return (await measureAll(drivers, scenarios)).scenarios;
  }

  async function measureAll(drivers: string, scenarios: string): Promise<Results> {
    const json = path.join(directory, 'results.json');
    const brief = ['--rounds', '1', '--seconds', '0.6', '--warmup', '0.2'];
    const choice = ['--driver', drivers, '--scenario', scenarios];
    await run(process.execPath, [bench, ...brief, ...choice, '--json', json]);
    return JSON.parse(readFileSync(json, 'utf8')) as Results;
  }

  function expectEverywhere(results: readonly ScenarioResult[], metric: 'rate' | 'cpu'): void {
    for (const { scenario, rows } of results) {
      for (const row of rows) {
        const place = `${row.driver} in ${scenario.name}`;
        expect(row.failure, place).toBeUndefined();
        expect(row.rounds[0]?.[metric], place).toBeGreaterThan(0);
      }
    }
  }

  test('measures throughput and CPU time of spliceport, as a helper and as a library', async () => {
    const results = await measure(
      'spliceport library,workers=1',
      'bulk-up-1 bulk-down-8 rr-1-1 crr-16 udp-rr-16 udp-flood',
    );
    expect(results).toHaveLength(6);
    expectEverywhere(results, 'rate');
    expectEverywhere(results, 'cpu');
  });

  test('reports no CPU time for a direct connection', async () => {
    const results = await measure('direct', 'rr-1-1');
    expectEverywhere(results, 'rate');
    expect(results[0]?.rows[0]?.rounds[0]?.cpu).toBeUndefined();
  });

  test('measures the memory and the two descriptors that an idle connection costs', async () => {
    const [result] = await measure('spliceport', 'idle-1000');
    expect(result?.rows[0]?.rounds[0]).toMatchObject({ held: 1_000, errors: 0 });
    expect(result?.rows[0]?.rounds[0]?.fdsPerConnection).toBeCloseTo(2, 1);
  });

  test('measures how containers start, what each needs, how they reload and how they end', async () => {
    const results = await measure('spliceport', 'ready-* range-warm memory-1 reload-* gone');
    expect(results).toHaveLength(8);
    for (const { scenario, rows } of results) {
      expect(rows[0]?.failure, scenario.name).toBeUndefined();
      expect(rows[0]?.rounds[0]?.[scenario.headline], scenario.name).toBeGreaterThan(0);
    }
  });

  test('says why a helper of a container is not ready', async () => {
    const broken = path.join(directory, 'rootlessport');
    writeFileSync(broken, '#!/bin/sh\necho this is why\n', { mode: 0o755 });
    const [result] = await measure(`spliceport:broken=${directory}`, 'fifty');
    expect(result?.rows[0]?.failure).toContain('this is why');
    expect(result?.rows[0]?.failure).toContain('ended before it was ready');
  });

  test.skipIf(missing(peers))('can forward with every program that it compares', async () => {
    const results = await measure(
      'rootlessport pasta haproxy docker-proxy socat slirp4netns',
      'rr-1-1 udp-rr-1',
    );
    expect(results.map((result) => result.rows.length)).toEqual([6, 5]);
    expectEverywhere(results, 'rate');
    expectEverywhere(results, 'cpu');
  });

  test.each(roots)('can forward with the programs of a Debian root: %s', async (root) => {
    const kinds = ['rootlessport', 'pasta', 'haproxy', 'docker-proxy', 'slirp4netns'];
    const drivers = kinds.map((kind) => `${kind}=${root}`).join(' ');
    const { scenarios, versions, origins } = await measureAll(drivers, 'rr-1-1 udp-rr-1');
    expect(scenarios.map((result) => result.rows.length)).toEqual([5, 4]);
    expectEverywhere(scenarios, 'rate');
    expectEverywhere(scenarios, 'cpu');
    for (const kind of kinds) {
      const label = `${kind}:${path.basename(root)}`;
      expect(origins?.[label]).toContain(root);
      expect(versions[label]).toMatch(/^[a-z0-9.]+ [0-9]\S+$/);
    }
  });

  test('can measure on busy processors, and ends the programs that keep them busy', async () => {
    const begins = (pid: number, words: string): boolean =>
      readProc(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(words);
    let most = 0;
    let wereBusy = false;
    const watch = setInterval(() => {
      const all = descendantsOf(marked(directory));
      const busy = all.filter((pid) => begins(pid, '/load busy'));
      most = Math.max(most, busy.length);
      const isLoaded = all.some((pid) => begins(pid, '/load rr'));
      wereBusy ||= isLoaded && busy.length === 2 && busy.every((pid) => cpuSeconds([pid]) > 0.02);
    }, 10);
    try {
      const results = await measure('spliceport direct', 'rr-2-1-busy');
      expectEverywhere(results, 'rate');
    } finally {
      clearInterval(watch);
    }
    expect(wereBusy).toBe(true);
    expect(most).toBe(2);
  });

  test('runs busy programs that exit by themselves if it is killed', async () => {
    await measure('direct', 'rr-2-1-busy');
    const load = path.join(path.dirname(bench), 'build/load');
    const lastLine = async (seconds: string, isTold: boolean): Promise<unknown> => {
      const running = run(load, ['busy', '--threads', '2', '--seconds', seconds]);
      if (isTold) running.child.stdin?.end();
      return JSON.parse((await running).stdout.trim().split('\n').at(-1) ?? '');
    };
    expect(await lastLine('0.2', false)).toMatchObject({ event: 'end', tooShort: 1 });
    expect(await lastLine('60', true)).toMatchObject({ event: 'end', tooShort: 0 });
  });

  test.skipIf(missing(loads))('reads the output of other load generators', async () => {
    const results = await measure('spliceport', 'iperf3-up-1 iperf3-down-1 iperf3-udp http dns');
    expect(results).toHaveLength(5);
    expectEverywhere(results, 'rate');
    expectEverywhere(results, 'cpu');
  });

  test('gives a distant client the round-trip time that the scenario names', async () => {
    const [result] = await measure('library', 'distant-20-rr');
    expect(result?.rows[0]?.failure).toBeUndefined();
    expect(result?.rows[0]?.rounds[0]?.p50Micros).toBeGreaterThan(19_700);
    expect(result?.rows[0]?.rounds[0]?.p50Micros).toBeLessThan(30_000);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'leaves no process behind after %s',
    async (signal) => {
      const mark = path.join(directory, `after-${signal}.json`);
      const choice = ['--driver', 'spliceport', '--scenario', 'rr-1-1', '--seconds', '60'];
      const child = spawn(process.execPath, [bench, ...choice, '--json', mark], {
        stdio: 'ignore',
      });
      // Every measurement has a load generator, whose parent carries the mark.
      await until(() => descendantsOf(marked(mark)).length >= 3, 'a measurement', 60_000);
      const processes = [...marked(mark), ...descendantsOf(marked(mark))];
      child.kill(signal);
      await until(() => processes.every((pid) => !existsSync(`/proc/${pid}`)), 'the end of all');
    },
  );

  test('rejects an unknown scenario or driver', async () => {
    await expect(measure('spliceport', 'no-such-scenario')).rejects.toThrow(
      /No scenario is called/,
    );
    await expect(measure('no-such-driver', 'rr-1-1')).rejects.toThrow(/Expected a driver/);
  });
});
