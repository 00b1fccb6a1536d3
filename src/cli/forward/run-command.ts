// run-command.ts: runs a command line that a person has given.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Runs it in a shell, with this process's standard error.
 * @returns Its exit code, as a shell would report it.
 */
export function runCommand(command: string): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', () => resolve(127));
    child.once('exit', (code, signal) =>
      resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']),
    );
  });
}
