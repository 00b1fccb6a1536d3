// resident.ts: the residents that run, as the kernel lists them.

import { readdirSync, readFileSync } from 'node:fs';

/** Pids of the residents that were started with this runtime folder. */
export function residentsOf(runtimeFolder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const isResident = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(
          'lib/resident/main.cjs',
        );
        const variable = `XDG_RUNTIME_DIR=${runtimeFolder}`;
        return (
          isResident && readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(variable)
        );
      } catch {
        // It has ended meanwhile.
        return false;
      }
    })
    .map(Number);
}

/** Kills the residents that were started with this runtime folder; how many there were. */
export function killResidents(runtimeFolder: string): number {
  const pids = residentsOf(runtimeFolder);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was faster.
    }
  }
  return pids.length;
}
