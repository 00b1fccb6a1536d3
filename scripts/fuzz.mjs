// fuzz.mjs: `npm run fuzz`. Builds the fuzzers of test/fuzz/, and runs all side by side for 30
// seconds, or for as many as the first argument says. What an earlier run has found worth keeping
// is where the next one begins.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { cmakeJs, unrandomized } from './native.mjs';

const folder = 'build-fuzz';
const seconds = Number(process.argv[2] ?? 30);
const clang = ['clang++-14', 'clang++'].find(
  (compiler) => spawnSync(compiler, ['--version']).status === 0,
);

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

function build() {
  if (!Number.isInteger(seconds) || seconds < 1) return 'npm run fuzz -- SECONDS, a whole number';
  if (clang === undefined) return 'needs more: apt-get install clang-14 libclang-rt-14-dev';
  const definitions = { SANITIZE: 'address,undefined', FUZZ: 'ON', CMAKE_CXX_COMPILER: clang };
  return cmakeJs('build', 'fuzz', definitions, 'fuzzers');
}

/** Whether nothing was found. */
async function fuzz(name) {
  const program = join(folder, name);
  const corpus = join(folder, 'corpus', name);
  const found = join(folder, 'found', name);
  for (const each of [corpus, found]) mkdirSync(each, { recursive: true });
  const options = [`-max_total_time=${seconds}`, `-artifact_prefix=${found}/`];
  // One that takes longer for a few kilobytes does not come to an end.
  options.push('-timeout=10', '-print_final_stats=1', '-use_value_profile=1');
  const before = new Set(readdirSync(found));
  const [command, ...args] = [...unrandomized, program, ...options, corpus];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const [stderr, [status, signal]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  const runs = /number_of_executed_units: (\d+)/.exec(stderr)?.[1] ?? 'unknown';
  if (status === 0) {
    console.log(`${name}: ${runs} runs, ${seconds} s`);
    return true;
  }
  console.log(stderr);
  console.log(`${name}: failed after ${runs} runs, with ${signal ?? status}`);
  for (const input of readdirSync(found).filter((file) => !before.has(file))) {
    console.log(`  to run it again: ${program} ${join(found, input)}`);
  }
  return false;
}

const failure = build();
if (failure) {
  console.error(failure);
  process.exit(1);
}
const names = readdirSync('test/fuzz')
  .filter((file) => file.endsWith('.cc'))
  .map((file) => basename(file, '.cc'));
const outcomes = await Promise.all(names.map(fuzz));
process.exitCode = outcomes.every(Boolean) ? 0 : 1;
