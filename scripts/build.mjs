// build.mjs: src/ → lib/. tsc makes the library. esbuild makes the bundles of the table below: the helper's one file,
// because a user waits for its start and every further file costs part of a millisecond, and beside it what it loads
// once it is ready, when the first client calls, or where there is a settings file. The library's
// lib/control/server.js is a bundle, too.
// Does nothing when neither the inputs nor the outputs have changed since the last time.

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
import './node-path.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const cacheFolder = 'node_modules/.cache/spliceport';
const stampFile = `${cacheFolder}/build`;
/**
 * The bundles: the source of each, and its place. The first holds the library, and the others use that one's: a second
 * copy would load the addon again, and its errors would be other classes. Another front-end is another first.
 */
const bundles = {
  'src/engines/podman/main.ts': 'lib/engines/podman.cjs',
  'src/control/listen.ts': 'lib/control/listen.cjs',
  'src/control/server.ts': 'lib/control/server.cjs',
  'src/log/forwarder-log.ts': 'lib/log/forwarder-log.cjs',
  'src/settings/load.ts': 'lib/settings/load.cjs',
  'src/settings/quick.ts': 'lib/settings/quick.cjs',
};
const [[helperEntry, helperBundle]] = Object.entries(bundles);
/** What the first bundle offers to the others. */
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

const sources = filesUnder('src');
const outputs = sources
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) => {
    const stem = file.replace(/^src\//, 'lib/').replace(/\.ts$/, '');
    return [`${stem}.js`, `${stem}.d.ts`];
  });
if (existsSync(helperEntry)) outputs.push(...Object.values(bundles));

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

/** The source that a relative import means, as it stands in the tables. */
const sourceOf = ({ resolveDir, path }) =>
  relative(root, join(resolveDir, path)).replace(/\.js$/, '.ts');

/** What a bundle does not hold: the others, and in those that are loaded later the library, which the first one has. */
const between = (entry, outfile) => ({
  name: 'between bundles',
  setup({ onResolve }) {
    const beside = (other) => {
      const path = relative(dirname(outfile), other);
      return { path: path.startsWith('.') ? path : `./${path}`, external: true };
    };
    onResolve({ filter: /^\./ }, (request) => {
      const source = sourceOf(request);
      if (request.kind === 'dynamic-import' && bundles[source]) return beside(bundles[source]);
      return entry !== helperEntry && library.includes(source) ? beside(helperBundle) : undefined;
    });
  },
});

/** The check of settings files in the helper: compiled from their schema, which the library would take long to load for. */
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

/** What the library's server does not hold, but loads as it would from its own place. */
const besideServer = {
  name: 'beside the server',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, (request) =>
      [...library, 'src/control/metrics.ts'].includes(sourceOf(request))
        ? { path: request.path, external: true }
        : undefined,
    );
  },
};

/**
 * The library's server for callers: one file in place of a hundred of the schema library's. Node opens those all at once,
 * which fails where clients have left few descriptors, and what has failed to load it does not load again.
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
    // Some packages' main file is for loaders of another kind, which cannot be bundled.
    mainFields: ['module', 'main'],
    // Measured: 0.1 to 0.5 ms sooner than the readable form.
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'import.meta.filename': '__filename', 'import.meta.dirname': '__dirname' },
    // What is loaded later is required: import() would start the loader of modules first.
    supported: { 'dynamic-import': false },
    plugins: [between(entry, outfile), compiledCheck],
    ...options,
  });
  renameSync(partial, outfile);
}

async function makeBundles() {
  for (const [entry, outfile] of Object.entries(bundles)) await bundleOne(entry, outfile);
}

function removeStale() {
  const kept = new Set([...outputs, 'lib/node-path']);
  for (const file of filesUnder('lib')) if (!kept.has(file)) rmSync(file, { force: true });
}

mkdirSync(cacheFolder, { recursive: true });
removeStale();
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp()) {
  const compiled = compile();
  if (existsSync(helperEntry)) await makeBundles();
  if (compiled) await bundleServer();
  // As npm makes it when it installs, so that a link to the command of a checkout works as well.
  if (compiled) chmodSync('lib/cli/main.js', 0o755);
  if (compiled) writeFileSync(stampFile, stamp());
  else process.exitCode = 1;
}
