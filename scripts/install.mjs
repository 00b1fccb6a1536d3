// install.mjs: npm's install step. Compiles the addon and the helper, unless prebuilt ones fit,
// puts the helper in its place, and notes which node to start. Where node's headers lie beside
// node, as in its own releases, they are used instead of downloading them again.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeCache } from './code-cache.mjs';
import './node-path.mjs';

function headersOfThisNode() {
  const prefix = dirname(dirname(process.execPath));
  const file = join(prefix, 'include/node/node_version.h');
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  const version = ['MAJOR', 'MINOR', 'PATCH']
    .map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1])
    .join('.');
  return version === process.versions.node ? prefix : undefined;
}

const nodedir = process.env.npm_config_nodedir ?? headersOfThisNode();
const env = nodedir ? { ...process.env, npm_config_nodedir: nodedir } : process.env;
const nodeGypBuild = fileURLToPath(import.meta.resolve('node-gyp-build/bin.js'));
const { status } = spawnSync(process.execPath, [nodeGypBuild], { stdio: 'inherit', env });
if (status !== 0) {
  console.error(
    'spliceport: the addon was not compiled. It needs a C++20 compiler (GCC 11 or Clang 14, or later), make and\n' +
      'Python 3; on Debian and Ubuntu: apt-get install g++ make python3. Then run "npm rebuild spliceport".',
  );
}
await import('./helper.mjs');
makeCache(fileURLToPath(new URL('../lib/resident/main.cjs', import.meta.url)));
process.exitCode = status ?? 1;
