// outcomes.mjs: the outcomes of test runs: reads the reports of doctest and vitest, and writes the
// last lines of `npm test` for anyone who sees only those.

import { stripVTControlCharacters } from 'node:util';

const maxDetails = 6;
const maxCharacters = 200;
/** With one more line for the counts, they fit the 20 lines that are shown of a long log. */
const maxLastLines = 19;

/** The outcome of no tests. */
export const noOutcome = () => ({ passed: 0, failed: 0, skipped: 0, failures: [], retried: [] });

export function sumOf(outcomes) {
  const sum = noOutcome();
  for (const outcome of outcomes) {
    for (const key of ['passed', 'failed', 'skipped']) sum[key] += outcome[key];
    sum.failures.push(...outcome.failures);
    sum.retried.push(...outcome.retried);
  }
  return sum;
}

const shortened = (lines) =>
  lines.slice(0, maxDetails).map((line) => line.trimEnd().slice(0, maxCharacters));

/**
 * How many cases passed, failed and were skipped, according to doctest's report; undefined if it
 * has no counts.
 */
export function doctestCounts(report) {
  const counts = /test cases: +\d+ \| +(\d+) passed \| +(\d+) failed \| +(\d+) skipped/.exec(
    report,
  );
  if (!counts) return undefined;
  const [passed, failed, skipped] = counts.slice(1).map(Number);
  return { passed, failed, skipped };
}

/** The failed cases in doctest's report, each with its first failed assertion. */
export function failedCases(report, root) {
  const cases = new Map();
  for (const section of report.split(/^={20,}$/m)) {
    const [, place, name] = /^(.+:\d+):\n(?:.*\n)*?TEST CASE: {2}(.*)$/m.exec(section) ?? [];
    const assertion = /^.+:\d+: (?:FATAL )?ERROR: (?:.+\n?)*/m.exec(section)?.[0];
    const key = `${place} ${name}`;
    if (assertion === undefined || place === undefined || cases.has(key)) continue;
    const details = shortened(assertion.trimEnd().replace(root, '').split('\n'));
    cases.set(key, { name, details });
  }
  return [...cases.values()];
}

/**
 * A name as a filter for doctest. A star or a question mark cannot be escaped, so other names may
 * match too.
 */
export function filterFor(name) {
  return name.replaceAll(/[\\,]/g, '\\$&');
}

const sanitizerReport = /\w+Sanitizer|runtime error: /;

/** Whether failed cases are the only problem of a run: a sanitizer's report is never retried. */
export function hasOnlyFailedCases({ status, stdout, stderr }) {
  const failed = doctestCounts(stdout)?.failed;
  const isWhole = status === 1 && failed > 0 && failedCases(stdout, '').length === failed;
  return isWhole && !/CRASHED/.test(stdout) && !sanitizerReport.test(stdout + stderr);
}

/** Why a run without a failed case failed. */
export function whatElse({ status, signal, stdout, stderr }) {
  const lines = `${stdout}\n${stderr}`.split('\n');
  const reports = lines.filter((line) => sanitizerReport.test(line));
  const ending = signal ? `ended by ${signal}` : `ended with status ${status}`;
  return { name: ending, details: shortened(reports) };
}

const firstLine = ({ name, message }) => {
  const text = stripVTControlCharacters(message ?? '').trim();
  return shortened([`${name ?? 'Error'}: ${text.split('\n')[0]}`])[0];
};

/** The outcome in what vitest passes to a reporter at the end of a run. */
export function vitestOutcome(modules, unhandledErrors) {
  const outcome = noOutcome();
  const fail = (name, errors) => {
    outcome.failed++;
    outcome.failures.push({ name, details: errors.slice(0, 1).map(firstLine) });
  };
  for (const module of modules) {
    const name = `|${module.project.name}| ${module.relativeModuleId}`;
    const failedBefore = outcome.failed;
    for (const test of module.children.allTests()) {
      const { state, errors = [] } = test.result();
      const title = `${name} > ${test.fullName}`;
      if (state === 'failed') fail(title, errors);
      else outcome[state === 'passed' ? 'passed' : 'skipped']++;
      if (state === 'passed' && test.diagnostic()?.flaky) outcome.retried.push(title);
    }
    const suites = [module, ...module.children.allSuites()];
    const errors = suites.flatMap((suite) => suite.errors());
    // A file that cannot be loaded fails without a test of its own, and so does a hook before or
    // after tests.
    if (errors.length > 0 || (module.state() === 'failed' && outcome.failed === failedBefore)) {
      fail(name, errors);
    }
  }
  for (const error of unhandledErrors) fail('vitest, outside of the tests', [error]);
  return outcome;
}

/** The last lines of `npm test`. Names come last where they do not fit with what went wrong. */
export function lastLines({ passed, failed, skipped, failures, retried }) {
  const long = failures.flatMap(({ name, details }) => [
    `  ${name}`,
    ...details.map((line) => `    ${line}`),
  ]);
  const tail = [
    ...(retried.length > 0 ? ['passed only when tried again:'] : []),
    ...retried.map((name) => `  ${name}`),
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
  ];
  if (failures.length === 0) return tail;
  if (1 + long.length + tail.length <= maxLastLines) return ['failed:', ...long, ...tail];
  const names = failures.map(({ name }) => `  ${name}`);
  return ['what failed, and how:', ...long, 'failed:', ...names, ...tail];
}
