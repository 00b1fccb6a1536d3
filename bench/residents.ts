// residents.ts: the process that spliceport's helpers share. It is no child of theirs, so it is
// known by what it runs. The benchmark has a process namespace of its own: no other one is seen.

import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { until } from './process.js';

const PROGRAM = /\/resident\/main\.c?js$/;

/** Whether a command line, as in /proc, is that of a resident. */
export function isResident(commandLine: string): boolean {
  return commandLine.split('\0').some((word) => PROGRAM.test(word));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // It has exited.
    return '';
  }
}

/** All residents, without those that have ended. */
export function residents(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && isResident(commandLine(pid)));
}

/** Has a resident come, by a call to a helper's control socket; false if there is none then. */
export async function callResident(runtimeFolder: string): Promise<boolean> {
  const folder = join(runtimeFolder, 'spliceport');
  const sockets = () =>
    existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.sock')) : [];
  // A helper says that it is ready before it opens its own.
  await until(() => sockets().length > 0, 'a control socket');
  const socketPath = join(folder, sockets()[0] ?? '');
  const call = request({ socketPath, path: '/v1/info', agent: false }).end();
  const [answer] = (await once(call, 'response')) as [NodeJS.ReadableStream];
  await once(answer.resume(), 'end');
  return residents().length > 0;
}

/** Kills all residents, and waits until they are gone. Returns how many there were. */
export async function killResidents(): Promise<number> {
  const pids = residents();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await until(() => !residents().some((pid) => pids.includes(pid)), 'the end of the resident');
  return pids.length;
}
