// run.mjs: what `npm run bench` starts: builds the benchmark and runs it in namespaces of its own.
// Needs root, or user namespaces for everybody. Nothing that it starts can outlive it.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const bench = fileURLToPath(new URL('.', import.meta.url));
const compiler = process.env.CXX ?? 'c++';

/** @param {string} folder */
function sources(folder) {
  return readdirSync(`${bench}${folder}`).map((name) => `${bench}${folder}/${name}`);
}

/**
 * Compiles a native program when something it is made of is newer. @param {string} name @param
 * {string[]} files
 */
function compile(name, files) {
  const program = `${bench}build/${name}`;
  const newest = Math.max(...files.map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return;
  const units = files.filter((file) => file.endsWith('.cc'));
  const flags = ['-std=c++20', '-O2', '-pthread', '-Wall', '-Wextra', '-I', bench, '-o', program];
  const result = spawnSync(compiler, [...flags, ...units], { stdio: 'inherit' });
  if (result.status !== 0) throw new Error(`${compiler} could not build bench/${name}`);
}

mkdirSync(`${bench}build`, { recursive: true });
compile('load', sources('load'));
compile('delay-link', [...sources('delay-link'), `${bench}load/base.h`, `${bench}load/options.cc`]);
await build({
  entryPoints: [`${bench}main.ts`],
  outfile: `${bench}build/main.mjs`,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'warning',
});

const uid = process.getuid();
// The chain that ends everything, even when this process is killed: the kernel then kills unshare
// (pdeathsig), with it the first process inside (kill-child), and with that its whole namespace.
const inside = spawn(
  'setpriv',
  ['--pdeathsig', 'KILL', 'unshare', ...(uid === 0 ? [] : ['--map-root-user'])]
    .concat(['--net', '--mount', '--propagation', 'private'])
    .concat(['--pid', '--fork', '--kill-child', '--mount-proc'])
    // The rows of many idle connections are about this limit.
    .concat(['sh', '-c', 'ulimit -n 20000 2> /dev/null; exec "$@"', 'sh'])
    .concat([process.execPath, '--enable-source-maps', `${bench}build/main.mjs`])
    .concat(process.argv.slice(2)),
  { stdio: 'inherit', env: { ...process.env, SPLICEPORT_BENCH_UID: String(uid) } },
);
// unshare ignores the gentler signals while it waits.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => inside.kill('SIGKILL'));
}
inside.on('exit', (code) => process.exit(code ?? 1));
