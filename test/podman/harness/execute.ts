// execute.ts: runs a program to its end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a program printed, and its exit code. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a program. */
export interface ExecuteOptions {
  readonly input?: string;
  /** After this it is killed, and the call fails. Unit: ms. Default: 30,000. */
  readonly withinMs?: number;
}

/**
 * Settles when the program has ended **and** nobody holds its output any more: a helper that kept
 * the pipes of `podman run` would make this fail.
 * @throws Error with the output so far when the time is up.
 */
export async function execute(
  program: string,
  args: readonly string[],
  { input = '', withinMs = 30_000 }: ExecuteOptions = {},
): Promise<Output> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined); // It need not read its input.
  child.stdin.end(input);
  try {
    const [code] = (await once(child, 'close', { signal: AbortSignal.timeout(withinMs) })) as [
      number | null,
    ];
    return { code: code ?? -1, stdout, stderr };
  } catch (error) {
    child.kill('SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
    const line = [program, ...args].join(' ');
    throw new Error(`not within ${withinMs} ms: ${line}\n${stdout}${stderr}`, { cause: error });
  }
}
