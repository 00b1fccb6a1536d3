// build.mjs: builds lib/ from src/. tsc compiles the library, and esbuild makes the bundles in the
// table below, and the page of `spliceport ui`. The helper is one file, because a user waits for
// its start and every further file costs part of a millisecond. What it loads later has bundles of
// its own: once it is ready, when the first client calls, or if there is a settings file. The
// library's lib/control/server.js is a bundle, too. Does nothing if neither the inputs nor the
// outputs have changed since the last time.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 as Ajv } from 'ajv/dist/2020.js';
import standaloneCode from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import * as z from 'zod/mini';
import { cacheOf, makeCache, programOf, splitStarter } from './code-cache.mjs';
import './helper.mjs';
import './node-path.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const cacheFolder = 'node_modules/.cache/spliceport';
const stampFile = `${cacheFolder}/build`;
/** The bundles that processes begin with: source and output. Each contains the library. */
const programs = {
  'src/engines/podman/main.ts': 'lib/engines/podman.cjs',
  'src/resident/main.ts': 'lib/resident/main.cjs',
};
/**
 * The bundles that are loaded later, in any of these processes. They use the library from where the
 * process has it: a second copy would load the addon again, and its errors would be of other
 * classes.
 */
const laterBundles = {
  'src/control/listen.ts': 'lib/control/listen.cjs',
  'src/control/server.ts': 'lib/control/server.cjs',
  'src/log/forwarder-log.ts': 'lib/log/forwarder-log.cjs',
  'src/settings/load.ts': 'lib/settings/load.cjs',
  'src/settings/quick.ts': 'lib/settings/quick.cjs',
};
const bundles = { ...programs, ...laterBundles };
/** What starts the resident, whose program is compiled ahead of time. */
const starter = programs['src/resident/main.ts'];
/** What the first bundle of a process offers to the others. */
const library = ['src/index.ts', 'src/system.ts', 'src/unix-listener.ts'];

const filesUnder = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => `${entry.parentPath}/${entry.name}`)
        .sort()
    : [];

function digest(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** What runs in a browser: one file, made of all in this folder. */
const pageFolder = 'src/page/browser/';
const pageFile = 'lib/page/index.html';

const sources = filesUnder('src');
const outputs = sources
  .filter((file) => file.endsWith('.ts') && !file.startsWith(pageFolder))
  .flatMap((file) => {
    const stem = file.replace(/^src\//, 'lib/').replace(/\.ts$/, '');
    return [`${stem}.js`, `${stem}.d.ts`];
  });
outputs.push(...Object.values(bundles), programOf(starter), pageFile);

const inputs = digest([
  ...sources,
  ...[
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
    'package-lock.json',
    'scripts/build.mjs',
  ],
]);
const stamp = () => `${inputs} ${digest(outputs)}\n`;

function compile() {
  const tsc = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    stdio: 'inherit',
  });
  return status === 0;
}

/** The source that a relative import means, as it is written in the tables. */
const sourceOf = ({ resolveDir, path }) =>
  relative(root, join(resolveDir, path)).replace(/\.js$/, '.ts');

/**
 * What a bundle leaves out: the other bundles, and in those that are loaded later the library,
 * which the main module of the process has.
 */
const between = (entry, outfile) => ({
  name: 'between bundles',
  setup({ onResolve, onLoad }) {
    const beside = (other) => {
      const path = relative(dirname(outfile), other);
      return { path: path.startsWith('.') ? path : `./${path}`, external: true };
    };
    onResolve({ filter: /^\./ }, (request) => {
      const source = sourceOf(request);
      if (request.kind === 'dynamic-import' && bundles[source]) return beside(bundles[source]);
      const isElsewhere = entry in laterBundles && library.includes(source);
      return isElsewhere ? { path: 'library', namespace: 'main module' } : undefined;
    });
    onLoad({ filter: /.*/, namespace: 'main module' }, () => ({
      contents: 'module.exports = require.main.exports;',
    }));
  },
});

/**
 * The helper's check of settings files, compiled from their schema: the schema library takes long
 * to load.
 */
const compiledCheck = {
  name: 'compiled check',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/valid\.js$/ }, () => ({ path: 'valid', namespace: 'compiled' }));
    onLoad({ filter: /.*/, namespace: 'compiled' }, async () => {
      const { settingsFile } = await import('../lib/settings/schema.js');
      const ajv = new Ajv({ code: { source: true, esm: true } });
      const schema = z.toJSONSchema(settingsFile, { io: 'input' });
      const contents = standaloneCode(ajv, {
        isValid: ajv.addSchema(schema, 'isValid') && 'isValid',
      });
      return { contents, loader: 'js', resolveDir: root };
    });
  },
};

/** What the library's server leaves out and loads as usual, relative to its own place. */
const besideServer = {
  name: 'beside the server',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, (request) =>
      [...library, 'src/control/prometheus.ts'].includes(sourceOf(request))
        ? { path: request.path, external: true }
        : undefined,
    );
  },
};

/**
 * The library's server for callers: one file instead of a hundred of the schema library's. Node
 * opens those all at once, which fails if clients have left few descriptors, and Node does not
 * retry what it failed to load.
 */
const bundleServer = () =>
  bundleOne('src/control/server.ts', 'lib/control/server.js', {
    format: 'esm',
    define: {},
    supported: {},
    plugins: [besideServer],
  });

/** What the sources say of their own place must hold for a bundle: it lies where they would. */
async function bundleOne(entry, outfile, options = {}) {
  const partial = `${cacheFolder}/${process.pid}.cjs`;
  await build({
    entryPoints: [entry],
    outfile: partial,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    // The main file of some packages is for another kind of loader, and cannot be bundled.
    mainFields: ['module', 'main'],
    // Starts 0.1 to 0.5 ms faster than the readable form (measured).
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'import.meta.filename': '__filename', 'import.meta.dirname': '__dirname' },
    // What is loaded later is required: import() would start the module loader first.
    supported: { 'dynamic-import': false },
    plugins: [between(entry, outfile), compiledCheck],
    ...options,
  });
  renameSync(partial, outfile);
}

async function makeBundles() {
  for (const [entry, outfile] of Object.entries(bundles)) await bundleOne(entry, outfile);
}

/**
 * The page of `spliceport ui`, with its program, its looks, and the license of the library that is
 * in it.
 */
async function makePage() {
  const { outputFiles } = await build({
    entryPoints: { page: `${pageFolder}main.tsx`, style: `${pageFolder}style.css` },
    outdir: cacheFolder,
    write: false,
    bundle: true,
    target: ['chrome125', 'firefox128', 'safari17.5'],
    format: 'iife',
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    tsconfig: `${pageFolder}tsconfig.json`,
  });
  const textOf = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text.trim();
  const license = readFileSync('node_modules/preact/LICENSE', 'utf8').trim();
  const html = readFileSync(`${pageFolder}index.html`, 'utf8')
    .replace('<!-- style -->', () => `<style>${textOf('.css')}</style>`)
    .replace('<!-- script -->', () => `<script>${textOf('.js').replaceAll('</', '<\\/')}</script>`)
    .concat(`<!--\nPreact, which is in this page:\n\n${license}\n-->\n`);
  mkdirSync(dirname(pageFile), { recursive: true });
  writeFileSync(`${pageFile}.part`, html);
  renameSync(`${pageFile}.part`, pageFile);
}

function removeStale() {
  const program = programOf(starter);
  const caches = existsSync(program) ? [cacheOf(program)] : [];
  const kept = new Set([...outputs, ...caches, 'lib/node-path']);
  for (const file of filesUnder('lib')) if (!kept.has(file)) rmSync(file, { force: true });
}

mkdirSync(cacheFolder, { recursive: true });
removeStale();
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp()) {
  const compiled = compile();
  await makeBundles();
  splitStarter(starter);
  if (compiled) await bundleServer();
  await makePage();
  // npm does the same on install; this way, a link to the command in a clone works too.
  if (compiled) chmodSync('lib/cli/main.js', 0o755);
  if (compiled) writeFileSync(stampFile, stamp());
  else process.exitCode = 1;
}
// A missing one is made even if nothing else has changed: node may have.
if (existsSync(programOf(starter)) && !existsSync(cacheOf(programOf(starter)))) makeCache(starter);
