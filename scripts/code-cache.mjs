// code-cache.mjs: compiles a program ahead of time, which saves a tenth of its start. V8 takes what
// it compiled only back in the same version of node, and does not look whether the source is still
// the same: both are in the name of the file. Without a file that fits, or if V8 refuses it, the
// program is compiled as usual. A startup snapshot of node's was slower, and took 4 to 7 MiB more.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';

const suffix = '.cache';
/** The flags that a resident is started with. @see native/shim/node_start.cc */
export const flags = ['--v8-pool-size=1', '--max-semi-space-size=1'];
/** What a module of node's first kind is given. */
const parameters = ['exports', 'require', 'module', '__filename', '__dirname'];

/** Where the program is that a file starts. */
export const programOf = (starter) => starter.replace(/\.cjs$/, '.program.cjs');

const hashOf = (source) => createHash('sha256').update(source).digest('hex').slice(0, 16);

/** The file that starts a program; it gives it its own place in the module system. */
const starterText = (name, hash) => `'use strict';
const { readFileSync } = require('node:fs');
const program = \`\${__dirname}/${name}\`;
let cachedData;
try {
  cachedData = readFileSync(\`\${program}-${hash}-\${process.version}-\${process.arch}${suffix}\`);
} catch {
  // It is compiled now.
}
require('node:vm')
  .compileFunction(readFileSync(program, 'latin1'), ${JSON.stringify(parameters)}, {
    filename: program,
    cachedData,
  })
  .call(exports, exports, require, module, __filename, __dirname);
`;

/** Makes a bundle a program and a file of the bundle's name that starts it. */
export function splitStarter(bundle) {
  const source = readFileSync(bundle, 'latin1');
  // It is read as Latin-1, which is faster.
  if (/[^\0-\x7f]/.test(source)) throw new Error(`${bundle} has characters outside ASCII`);
  const program = programOf(bundle);
  const name = program.slice(dirname(program).length + 1);
  replace(program, source);
  replace(bundle, starterText(name, hashOf(source)));
}

/** Who opens the file right now gets the old one or the new one, never half of one. */
function replace(file, content) {
  writeFileSync(`${file}-${process.pid}`, content);
  renameSync(`${file}-${process.pid}`, file);
}

/** The compiled form of a program for a node of this version and kind of machine. */
export const cacheOf = (program) =>
  `${program}-${hashOf(readFileSync(program, 'latin1'))}-${process.version}-${process.arch}${suffix}`;

/**
 * Compiles the program of a starter for this node, and removes what was compiled before. In a
 * process of its own, because V8 takes it back only with the same flags: those of NODE_OPTIONS
 * would be in it.
 * @returns The file, or undefined if there is none: the program starts without.
 */
export function makeCache(starter) {
  const program = programOf(starter);
  try {
    const cache = cacheOf(program);
    removeCaches(program);
    const self = fileURLToPath(import.meta.url);
    const { status } = spawnSync(process.execPath, [...flags, self, program, cache], { env: {} });
    return status === 0 ? cache : undefined;
  } catch {
    return undefined;
  }
}

function removeCaches(program) {
  const folder = dirname(program);
  const prefix = `${program.slice(folder.length + 1)}-`;
  for (const name of readdirSync(folder)) {
    if (name.startsWith(prefix)) rmSync(join(folder, name));
  }
}

function compile(program, cache) {
  const options = { filename: program, produceCachedData: true };
  const { cachedData } = compileFunction(readFileSync(program, 'latin1'), parameters, options);
  replace(cache, cachedData);
}

const [, main, program, cache] = process.argv;
if (main === fileURLToPath(import.meta.url) && cache) compile(program, cache);
