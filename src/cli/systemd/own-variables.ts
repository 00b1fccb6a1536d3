// own-variables.ts: whose systemd's variables are.

import { enteredTarget } from '../forward/outer-process.js';

/**
 * Whether a pid in systemd's variables means this process, rather than one that inherited them. A
 * process that this one ran again for the sake of a user namespace stands in for it.
 */
export function isForUs(pid: string | undefined): boolean {
  const own = enteredTarget() === undefined ? process.pid : process.ppid;
  return pid === String(own);
}
