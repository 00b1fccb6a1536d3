// prebuilt-helper.mjs: a part of `npm run prebuild`: puts the helper beside the prebuilt addon.
// prebuildify has compiled it, and knows of addons alone.

import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const target = `prebuilds/linux-${process.arch}/rootlessport`;
copyFileSync('build/Release/rootlessport', target);
execFileSync('strip', [target]);
