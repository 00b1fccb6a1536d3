// soak.mjs: `npm run soak [-- MINUTES]`: mixed load on real forwarders, with every byte compared;
// fails where memory, descriptors, threads or the heap grow. Default: 2 minutes.
// SPLICEPORT_SOAK_SEED repeats a run.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const minutes = Number(process.argv[2] ?? 2);
if (!(minutes > 0)) throw new Error('usage: npm run soak [-- MINUTES]');

const { status } = spawnSync(
  process.execPath,
  [
    fileURLToPath(new URL('test.mjs', import.meta.url)),
    '--project',
    'soak',
    '--disableConsoleIntercept',
  ],
  { stdio: 'inherit', env: { ...process.env, SPLICEPORT_SOAK_MINUTES: String(minutes) } },
);
process.exitCode = status ?? 1;
