// What the last lines of `npm test` say, and what of it may be tried again.

import { describe, expect, test } from 'vitest';
import {
  doctestCounts,
  failedCases,
  filterFor,
  hasOnlyFailedCases,
  lastLines,
  noOutcome,
  sumOf,
  vitestOutcome,
  whatElse,
} from '../../scripts/outcomes.mjs';

const rule = '='.repeat(79);
const root = '/home/me/spliceport/';

const section = (place: string, name: string, ...lines: string[]) =>
  [rule, `${root}${place}:`, `TEST CASE:  ${name}`, '', ...lines, ''].join('\n');

const report = (failed: number, ...sections: string[]) =>
  [
    '[doctest] doctest version is "2.4.9"',
    ...sections,
    rule,
    `[doctest] test cases:    255 |    ${255 - failed} passed | ${failed} failed | 0 skipped`,
    '[doctest] Status: FAILURE!',
    '',
  ].join('\n');

const flood = section(
  'test/native/udp_test.cc:294',
  'udp: what a flood loses, or not, is counted',
  `${root}test/native/udp_test.cc:300: ERROR: CHECK( lost > 0 ) is NOT correct!`,
  '  values: CHECK( 0 >  0 )',
  '  logged: seed 1',
  '',
  `${root}test/native/udp_test.cc:301: ERROR: CHECK( found ) is NOT correct!`,
  '  values: CHECK( false )',
  '',
);
const message = section(
  'test/native/routes_test.cc:196',
  '10,000 clients cost little each',
  `${root}test/native/routes_test.cc:220: MESSAGE: added and removed in 30.4214 us`,
  '',
);
const floodFailure = {
  name: 'udp: what a flood loses, or not, is counted',
  details: [
    'test/native/udp_test.cc:300: ERROR: CHECK( lost > 0 ) is NOT correct!',
    '  values: CHECK( 0 >  0 )',
    '  logged: seed 1',
  ],
};

describe("doctest's report", () => {
  test('is read for counts, and for each failed case with the first assertion that failed', () => {
    const text = report(1, message, flood);
    expect(doctestCounts(text)).toEqual({ passed: 254, failed: 1, skipped: 0 });
    expect(failedCases(text, root)).toEqual([floodFailure]);
  });

  test('names a case once that failed in several of its parts', () => {
    expect(failedCases(report(1, flood, flood), root)).toEqual([floodFailure]);
  });

  test('may have no counts', () => {
    expect(doctestCounts('[doctest] doctest version is "2.4.9"')).toBeUndefined();
  });
});

test('a filter matches only the name that it is made of', () => {
  expect(filterFor('a flow, or two')).toBe(String.raw`a flow\, or two`);
  expect(filterFor(String.raw`splits at \, and at ,`)).toBe(String.raw`splits at \\\, and at \,`);
});

describe('a second run of native tests', () => {
  const ending = { status: 1, stdout: report(1, flood), stderr: '' };

  test('is made only if cases failed', () => {
    expect(hasOnlyFailedCases(ending)).toBe(true);
  });

  test.for([
    ['a status of a sanitizer', { ...ending, status: 66 }],
    ['a report of one', { ...ending, stderr: 'WARNING: ThreadSanitizer: data race (pid=1)' }],
    ['undefined behavior', { ...ending, stderr: 'a.cc:1:2: runtime error: shift exponent' }],
    ['a signal', { ...ending, status: null, signal: 'SIGSEGV' }],
    ['an early end', { ...ending, stdout: flood }],
    ['no failed case', { ...ending, stdout: report(0) }],
    ['more failed cases than are named', { ...ending, stdout: report(2, flood) }],
    [
      'a crash',
      { ...ending, stdout: report(1, flood.replace('CHECK( lost > 0 )', 'test case CRASHED')) },
    ],
  ] as const)('is never for %s', ([, other]) => {
    expect(hasOnlyFailedCases(other)).toBe(false);
  });
});

test('a run without a failed case is reported by its exit and the sanitizer’s report', () => {
  const stderr = 'WARNING: ThreadSanitizer: data race (pid=1)\n  Write of size 8\n';
  expect(whatElse({ status: 66, stdout: report(0), stderr })).toEqual({
    name: 'ended with status 66',
    details: ['WARNING: ThreadSanitizer: data race (pid=1)'],
  });
  expect(whatElse({ status: null, signal: 'SIGSEGV', stdout: '', stderr: '' })).toEqual({
    name: 'ended by SIGSEGV',
    details: [],
  });
});

describe("vitest's results", () => {
  const testCase = (fullName: string, state: string, more = {}) => ({
    fullName,
    result: () => ({ state, ...more }),
    diagnostic: () => ({ flaky: 'flaky' in more }),
  });
  const file = (
    tests: unknown[],
    { state = 'passed', errors = [] as Error[], suites = [{}] } = {},
  ) => ({
    project: { name: 'unit' },
    relativeModuleId: 'test/unit/a.test.ts',
    state: () => state,
    errors: () => errors,
    children: {
      allTests: () => tests,
      allSuites: () => suites.map((suite) => ({ errors: () => [], ...suite })),
    },
  });

  test('are counted, and named if they failed or passed only when retried', () => {
    const error = new Error('\u001b[31mexpected 1 to be 2\u001b[39m\n\nat a.test.ts:3');
    const tests = [
      testCase('a > passes', 'passed'),
      testCase('a > stumbles', 'passed', { flaky: true }),
      testCase('a > fails', 'failed', { errors: [error, error] }),
      testCase('a > waits', 'skipped'),
    ];
    expect(vitestOutcome([file(tests, { state: 'failed' })], [])).toEqual({
      passed: 2,
      failed: 1,
      skipped: 1,
      failures: [
        {
          name: '|unit| test/unit/a.test.ts > a > fails',
          details: ['Error: expected 1 to be 2'],
        },
      ],
      retried: ['|unit| test/unit/a.test.ts > a > stumbles'],
    });
  });

  test('include failures of files, of hooks, and of the run itself', () => {
    const broken = file([], { state: 'failed', errors: [new SyntaxError('no such word')] });
    const suites = [{ errors: () => [new Error('not set up')] }];
    const unprepared = file([testCase('waits', 'skipped')], { suites });
    const { failed, failures } = vitestOutcome([broken, unprepared], [new Error('late')]);
    expect(failed).toBe(3);
    expect(failures.map(({ details }) => details[0])).toEqual([
      'SyntaxError: no such word',
      'Error: not set up',
      'Error: late',
    ]);
  });
});

describe('the last lines of npm test', () => {
  test('are only the counts if all tests pass', () => {
    expect(lastLines({ ...noOutcome(), passed: 3 })).toEqual(['3 passed, 0 failed, 0 skipped']);
  });

  test('name what failed and how, and what passed only when retried', () => {
    const native = { ...noOutcome(), passed: 254, failed: 1, failures: [floodFailure] };
    const vitest = { ...noOutcome(), passed: 2, skipped: 1, retried: ['a > stumbles'] };
    expect(lastLines(sumOf([native, vitest]))).toEqual([
      'failed:',
      `  ${floodFailure.name}`,
      ...floodFailure.details.map((line) => `    ${line}`),
      'passed only when tried again:',
      '  a > stumbles',
      '256 passed, 1 failed, 1 skipped',
    ]);
  });

  test('end with the names if there is no room for more', () => {
    const names = Array.from({ length: 10 }, (_, index) => `test ${index}`);
    const failures = names.map((name) => ({ ...floodFailure, name }));
    const lines = lastLines({ ...noOutcome(), failed: 10, failures });
    expect(lines.slice(-12)).toEqual([
      'failed:',
      ...names.map((name) => `  ${name}`),
      '0 passed, 10 failed, 0 skipped',
    ]);
    expect(lines).toContain(`    ${floodFailure.details[0]}`);
  });
});
