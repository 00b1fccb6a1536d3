// bench-containers.test.ts: what the benchmark's rows of containers are made of, without a
// container.

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { helperConfig, planText } from '../../bench/drivers/helpers.js';
import { parseDriver } from '../../bench/drivers/index.js';
import { parseOptions } from '../../bench/options.js';
import { isResident } from '../../bench/residents.js';
import type { ScenarioResult } from '../../bench/results.js';
import { roundsOf } from '../../bench/runner.js';
import { requestsFor } from '../../bench/scenarios/containers.js';
import { chooseScenarios } from '../../bench/scenarios/index.js';
import { requestOf } from '../../bench/scenarios/stage.js';
import { overviewOf, toMarkdown } from '../../bench/table.js';
import { kibIn } from '../../bench/usage.js';

let folder = '';

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'bench-containers-')));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A helper that begins with these bytes. */
function driverOf(start: string): ReturnType<typeof parseDriver> {
  writeFileSync(path.join(folder, 'rootlessport'), Buffer.from(start, 'latin1'), { mode: 0o755 });
  return parseDriver(`spliceport:other=${folder}`);
}

describe('the helper in a folder', () => {
  test('has a resident if it is compiled', () => {
    expect(driverOf('\x7fELF\x02\x01').hasResident?.()).toBe(true);
  });

  test('has none if it is a script, even an empty one', () => {
    expect(driverOf('#!/bin/sh\n').hasResident?.()).toBe(false);
    expect(driverOf('').hasResident?.()).toBe(false);
  });

  test('is not asked to survive the kill of a resident that it does not have', () => {
    const [kill] = chooseScenarios(['kill-resident']);
    expect(kill?.suits?.(driverOf('\x7fELF'))).toBe(true);
    expect(kill?.suits?.(driverOf('#!/bin/sh\n'))).toBe(false);
    expect(kill?.suits?.(parseDriver('rootlessport'))).toBe(false);
  });
});

describe('the helpers of many containers', () => {
  test('have a port, a name and a folder each', () => {
    const requests = requestsFor(50, 3);
    expect(new Set(requests.map(({ hostPort }) => hostPort)).size).toBe(50);
    expect(new Set(requests.map(({ name }) => name)).size).toBe(50);
    expect(requests[0]).toMatchObject({ name: 'container-3', count: 1 });
  });

  test('are configured as Podman does it', () => {
    const request = { ...requestOf({ count: 1_000, protocol: 'both' }), name: 'one' };
    expect(helperConfig('/run/netns/x', request, '/run/one')).toMatchObject({
      Mappings: [{ host_ip: '127.0.0.1', range: 1_000, protocol: 'tcp,udp' }],
      NetNSPath: '/run/netns/x',
      ExitFD: 3,
      ReadyFD: 4,
      TmpDir: '/run/one',
      ContainerID: 'one',
    });
  });

  test('have the environment of the program before that of the benchmark, a variable a line', () => {
    const text = planText(
      { file: '/p/rootlessport', env: { HOME: '/other', EMPTY: '' } },
      { HOME: '/home', PATH: '/bin', WITH_LINES: 'a\nprogram /elsewhere' },
      ['/c/1', '/c/2'],
    );
    expect(text).toBe(
      'program /p/rootlessport\nenv HOME=/other\nenv PATH=/bin\nenv EMPTY=\nconfig /c/1\nconfig /c/2\n',
    );
  });
});

describe('the resident among the processes', () => {
  test('is known by what it runs, whatever the options of Node', () => {
    expect(isResident('/usr/bin/node\0--v8-pool-size=1\0/x/lib/resident/main.cjs\0')).toBe(true);
    expect(isResident('/usr/bin/node\0/x/libexec/../lib/resident/main.cjs\0')).toBe(true);
  });

  test('is neither a helper of one container nor a program that reads its file', () => {
    expect(isResident('/usr/bin/node\0/x/lib/engines/podman.cjs\0')).toBe(false);
    expect(isResident('grep\0x\0/x/lib/resident/main.cjs.map\0')).toBe(false);
    expect(isResident('')).toBe(false);
  });
});

describe('the memory of a process', () => {
  const smaps = 'Rss:  40 kB\nPss_Dirty:  7 kB\nPss:  12 kB\nPrivate_Dirty:  5 kB\n';

  test('is read by the whole name of a figure', () => {
    expect(kibIn(smaps, 'Pss')).toBe(12);
    expect(kibIn(smaps, 'Private_Dirty')).toBe(5);
  });

  test('is 0 if the process is gone', () => {
    expect(kibIn('', 'Pss')).toBe(0);
  });
});

describe('the rounds of containers', () => {
  const plan = { rounds: 5, containerRounds: 30 };

  test('are their own, and no more than a scenario has use for', () => {
    expect(roundsOf(plan, { group: 'containers' })).toBe(30);
    expect(roundsOf(plan, { group: 'containers', maxRounds: 3 })).toBe(3);
    expect(roundsOf(plan, { group: 'tcp' })).toBe(5);
  });

  test('are those of the others unless they are given', () => {
    expect(parseOptions(['--rounds', '7'])).toMatchObject({ rounds: 7, containerRounds: 7 });
    expect(parseOptions(['--container-rounds', '30'])).toMatchObject({
      rounds: 5,
      containerRounds: 30,
    });
    expect(() => parseOptions(['--container-rounds', '0'])).toThrow(/--container-rounds/);
  });
});

describe('the overview of containers', () => {
  const scenario = (name: string, headline: 'readyMs' | 'eachKib'): ScenarioResult['scenario'] => ({
    name,
    title: name,
    group: 'containers',
    protocol: 'tcp',
    unit: '/s',
    headline,
    byDefault: true,
  });

  test('has a line for each scenario and a column for each program, with empty places', () => {
    const results: ScenarioResult[] = [
      {
        scenario: scenario('Start', 'readyMs'),
        rows: [
          { driver: 'spliceport', kind: 'spliceport', rounds: [{ readyMs: 2 }, { readyMs: 4 }] },
          { driver: 'rootlessport', kind: 'rootlessport', rounds: [{ readyMs: 7.5 }] },
        ],
      },
      {
        scenario: scenario('Memory', 'eachKib'),
        rows: [{ driver: 'spliceport', kind: 'spliceport', rounds: [{ eachKib: 1_204 }] }],
      },
    ];
    expect(toMarkdown(overviewOf(results)).split('\n')).toEqual([
      '|  | spliceport | rootlessport |',
      '| --- | --: | --: |',
      '| Start, ready ms | 3.00 | 7.50 |',
      '| Memory, KiB each | 1,204 |  |',
    ]);
  });
});
