// empty-netns.ts: a network namespace without servers, in the user namespace from which the
// containers that are yet to come can be entered.

import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { once } from 'node:events';
import { CliFailure, exitCodes } from '../failure.js';
import type { Target } from '../running/target.js';

/** Lives until its standard input ends, which is when this process exits at the latest. */
const HOLD = 'echo $$; exec cat';

/** An empty namespace, for as long as it is not disposed of. */
export interface EmptyNetns extends Disposable {
  readonly target: Target;
}

/**
 * Makes one: root from its own user namespace, others from that of their Podman.
 * @throws CliFailure if that fails
 */
export async function emptyNetns(): Promise<EmptyNetns> {
  const isRoot = process.getuid?.() === 0;
  const enter = ['-n', 'sh', '-c', HOLD];
  const [program, args] = isRoot
    ? ['unshare', enter]
    : ['podman', ['unshare', 'unshare', ...enter]];
  const holder = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const pid = await Promise.race([firstLine(holder.stdout), failureOf(holder, program)]);
  return {
    target: { netnsPath: `/proc/${pid}/ns/net`, pid: Number(pid) },
    [Symbol.dispose]: () => holder.stdin.end(),
  };
}

async function firstLine(stdout: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stdout) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  const [line = ''] = text.split('\n');
  return /^\d+$/.test(line) ? line : await new Promise(() => undefined);
}

async function failureOf(holder: ChildProcess, program: string): Promise<never> {
  const reason = await once(holder, 'exit').then(
    ([code]) => `it has exited with ${String(code)}`,
    (error: unknown) => (error as Error).message,
  );
  throw new CliFailure(
    exitCodes.notAllowed,
    `cannot run ${program} to make an empty network namespace: ${reason}`,
    {
      hint:
        program === 'podman'
          ? '--on-demand is for containers of your own Podman, and as root for those of root.'
          : '--on-demand requires unshare of util-linux, and CAP_SYS_ADMIN.',
    },
  );
}
