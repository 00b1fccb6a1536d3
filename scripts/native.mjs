// native.mjs: builds the engine without Node (CMakeLists.txt, through cmake-js) and runs its tests,
// once plain and once under each set of sanitizers. The tests wait more than they compute, so all
// kinds run side by side. Run as a program, it takes the kinds to run:
// plain asan tsan (default: all three), and gcc and clang, which are plain ones by the oldest
// compilers that README.md promises, the addon included.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import {
  doctestCounts,
  failedCases,
  filterFor,
  hasOnlyFailedCases,
  noOutcome,
  sumOf,
  whatElse,
} from './outcomes.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

// Sanitizers may find no room for their shadow memory if addresses are randomized by more bits than
// they expect. Some containers do not allow turning that off; then the tests run with it.
export const unrandomized =
  spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];

const plain = { sanitize: 'none', launcher: [], env: {} };
const sanitized = ['plain', 'asan', 'tsan'];
const kinds = {
  plain,
  gcc: { ...plain, compiler: 'g++-11' },
  clang: { ...plain, compiler: 'clang++-14' },
  asan: {
    sanitize: 'address,undefined',
    launcher: unrandomized,
    env: { ASAN_OPTIONS: 'strict_string_checks=1', UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  tsan: {
    sanitize: 'thread',
    launcher: unrandomized,
    env: { TSAN_OPTIONS: 'second_deadlock_stack=1' },
  },
};

/**
 * The folder of node.h and uv.h: node-gyp's, if it has built the addon, otherwise the one next to
 * this node.
 */
export function nodeHeaders() {
  const config = join(root, 'build/config.gypi');
  const nodedir =
    existsSync(config) && /"nodedir": "([^"]+)"/.exec(readFileSync(config, 'utf8'))?.[1];
  return join(nodedir || dirname(dirname(process.execPath)), 'include/node');
}

/** Runs cmake-js in build-NAME; returns its output if it fails. */
export function cmakeJs(command, name, definitions, target = 'all') {
  const program = join(root, 'node_modules/cmake-js/bin/cmake-js');
  const options = [
    '--out',
    join(root, `build-${name}`),
    '-B',
    'RelWithDebInfo',
    '-p',
    `${availableParallelism()}`,
    '-T',
    target,
  ];
  const defines = Object.entries(definitions).map(([key, value]) => `--CD${key}=${value}`);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, command, ...options, ...defines],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: Infinity,
    },
  );
  return status === 0 ? undefined : `${stdout}${stderr}`;
}

/**
 * Missing tools that `npm test` needs for the native tests, with the command that installs them.
 */
export function missingTools() {
  const cmake = spawnSync('cmake', ['--version']).status === 0;
  const doctest = ['/usr/include', '/usr/local/include'].some((folder) =>
    existsSync(`${folder}/doctest/doctest.h`),
  );
  const missing = [...(cmake ? [] : ['cmake']), ...(doctest ? [] : ['doctest-dev'])];
  return missing.length === 0 ? undefined : `apt-get install ${missing.join(' ')}`;
}

async function runProgram(name, { launcher, env }, filters = []) {
  const program = join(root, `build-${name}/native-tests`);
  const [command, ...args] = [...launcher, program, '--no-colors=true', ...filters];
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const [stdout, stderr, [status, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  if (status !== 0) process.stdout.write(`${stdout}${stderr}`);
  return { status, signal, stdout, stderr };
}

/**
 * What a run of all cases comes to; `passesAlone` says whether a case that failed passes by itself.
 */
async function outcomeOf(name, ending, passesAlone) {
  const counts = doctestCounts(ending.stdout);
  if (ending.status === 0 && counts) return { ...noOutcome(), ...counts };
  const label = (failure) => ({ ...failure, name: `native ${name}: ${failure.name}` });
  const failures = failedCases(ending.stdout, root);
  if (!hasOnlyFailedCases(ending)) {
    // A sanitizer ends the program after the last test, or before doctest has counted.
    const rest = whatElse(ending);
    const hasTold = failures.length > 0 && rest.details.length === 0;
    const all = [...failures, ...(hasTold ? [] : [rest])].map(label);
    return { ...noOutcome(), ...counts, failed: all.length, failures: all };
  }
  const retried = [];
  for (const failure of failures) {
    if (await passesAlone(failure.name)) retried.push(failure);
  }
  const still = failures.filter((failure) => !retried.includes(failure));
  return {
    passed: counts.passed + retried.length,
    failed: still.length,
    skipped: counts.skipped,
    failures: still.map(label),
    retried: retried.map((failure) => label(failure).name),
  };
}

async function passesAlone(name, test) {
  const filters = ['--case-sensitive=true', `--test-case=${filterFor(test)}`];
  const { status, stdout } = await runProgram(name, kinds[name], filters);
  return status === 0 && doctestCounts(stdout)?.passed > 0;
}

/** Builds a kind; returns the output if that fails. */
function build(name, { sanitize, compiler }) {
  if (compiler === undefined) return cmakeJs('build', name, { SANITIZE: sanitize });
  const definitions = {
    SANITIZE: sanitize,
    CMAKE_CXX_COMPILER: compiler,
    NODE_HEADERS: nodeHeaders(),
  };
  return cmakeJs('build', name, definitions) ?? cmakeJs('build', name, definitions, 'binding');
}

function buildFailed(name, output) {
  process.stdout.write(output);
  const errors = output.split('\n').filter((line) => /error/i.test(line));
  const failures = [{ name: `native ${name}: does not build`, details: errors.slice(0, 1) }];
  return { ...noOutcome(), failed: 1, failures };
}

/** What `work` gives, after a line of how long it took. */
async function timed(what, work) {
  const started = performance.now();
  const result = await work();
  console.log(`native ${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}

/**
 * Builds the given kinds, then runs them side by side. With `tryAgain`, failed cases are retried,
 * each alone.
 */
export async function runNativeTests(names = sanitized, { tryAgain = false } = {}) {
  const runs = [];
  const outcomes = [];
  for (const name of names) {
    const output = await timed(`${name} built`, () => build(name, kinds[name]));
    if (output) outcomes.push(buildFailed(name, output));
    else runs.push(name);
  }
  const endings = await Promise.all(
    runs.map((name) => timed(`${name} ran`, () => runProgram(name, kinds[name]))),
  );
  for (const [index, name] of runs.entries()) {
    const again = (test) => tryAgain && passesAlone(name, test);
    const outcome = await outcomeOf(name, endings[index], again);
    console.log(`native ${name}: ${outcome.passed} passed, ${outcome.failed} failed`);
    outcomes.push(outcome);
  }
  return sumOf(outcomes);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  if (missingTools()) throw new Error(`the native tests need more: ${missingTools()}`);
  const tryAgain = Boolean(process.env.CI) && process.env.CI !== 'false';
  const { failed } = await runNativeTests(names.length > 0 ? names : undefined, { tryAgain });
  process.exitCode = failed > 0 ? 1 : 0;
}
