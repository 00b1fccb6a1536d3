// node-path.mjs: writes lib/node-path, the absolute path of the node that libexec/rootlessport starts.
// It runs on every machine that the package is installed on, because Podman's PATH need not hold a node.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const lib = fileURLToPath(new URL('../lib/', import.meta.url));
mkdirSync(lib, { recursive: true });
// A helper may be starting right now: it sees the old file or the new one, never half of one.
writeFileSync(`${lib}node-path.${process.pid}`, `${process.execPath}\n`);
renameSync(`${lib}node-path.${process.pid}`, `${lib}node-path`);
