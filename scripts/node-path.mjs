// node-path.mjs: writes lib/node-path, the absolute path of the node that libexec/rootlessport
// starts. It runs on every machine where the package is installed, because node may not be in
// Podman's PATH.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const lib = fileURLToPath(new URL('../lib/', import.meta.url));
mkdirSync(lib, { recursive: true });
// A helper that is starting right now sees the old file or the new one, never half of one.
writeFileSync(`${lib}node-path.${process.pid}`, `${process.execPath}\n`);
renameSync(`${lib}node-path.${process.pid}`, `${lib}node-path`);
