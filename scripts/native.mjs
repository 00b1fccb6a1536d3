// native.mjs: builds the engine without Node (CMakeLists.txt, through cmake-js) and runs its tests, once plain and
// once under each set of sanitizers. Run as a program, it takes the kinds to run: plain asan tsan (default: all three),
// and gcc and clang, which are plain ones by the oldest compilers that README.md promises, the addon included.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// Sanitizers may not find room for their shadow memory when addresses are randomized by more bits than they expect.
// Some containers forbid to turn that off, and then it must do.
const unrandomized = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];

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

/** The folder of node.h and uv.h: node-gyp's, if it has built the addon, else the one beside this node. */
export function nodeHeaders() {
  const config = join(root, 'build/config.gypi');
  const nodedir =
    existsSync(config) && /"nodedir": "([^"]+)"/.exec(readFileSync(config, 'utf8'))?.[1];
  return join(nodedir || dirname(dirname(process.execPath)), 'include/node');
}

/** Runs cmake-js in build-NAME; returns its output when it fails. */
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

/** What `npm test` needs for the native tests and does not find, with the command that installs it. */
export function missingTools() {
  const cmake = spawnSync('cmake', ['--version']).status === 0;
  const doctest = ['/usr/include', '/usr/local/include'].some((folder) =>
    existsSync(`${folder}/doctest/doctest.h`),
  );
  const missing = [...(cmake ? [] : ['cmake']), ...(doctest ? [] : ['doctest-dev'])];
  return missing.length === 0 ? undefined : `apt-get install ${missing.join(' ')}`;
}

function runTests(name, { launcher, env }) {
  const [program, ...args] = [
    ...launcher,
    join(root, `build-${name}/native-tests`),
    '--no-colors=true',
  ];
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: Infinity,
    env: { ...process.env, ...env },
  });
  const counts = /test cases: +\d+ \| +(\d+) passed \| +(\d+) failed \| +(\d+) skipped/.exec(
    stdout,
  );
  const [passed = 0, failed = 0, skipped = 0] = counts?.slice(1).map(Number) ?? [];
  if (status === 0 && counts) return { passed, failed, skipped };
  process.stdout.write(`${stdout}${stderr}`);
  // A sanitizer ends the program after the last test, or before doctest has counted.
  return { passed, failed: Math.max(failed, 1), skipped };
}

/** Builds a kind; returns what was printed when that fails. */
function build(name, { sanitize, compiler }) {
  if (compiler === undefined) return cmakeJs('build', name, { SANITIZE: sanitize });
  const definitions = {
    SANITIZE: sanitize,
    CMAKE_CXX_COMPILER: compiler,
    NODE_HEADERS: nodeHeaders(),
  };
  return cmakeJs('build', name, definitions) ?? cmakeJs('build', name, definitions, 'binding');
}

/** Builds and runs the given kinds; returns the sum of their counts. */
export function runNativeTests(names = sanitized) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const name of names) {
    const started = performance.now();
    const buildFailure = build(name, kinds[name]);
    if (buildFailure) process.stdout.write(buildFailure);
    const counts = buildFailure
      ? { passed: 0, failed: 1, skipped: 0 }
      : runTests(name, kinds[name]);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`native ${name}: ${counts.passed} passed, ${counts.failed} failed, ${seconds} s`);
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  return total;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  if (missingTools()) throw new Error(`the native tests need more: ${missingTools()}`);
  process.exitCode = runNativeTests(names.length > 0 ? names : undefined).failed > 0 ? 1 : 0;
}
