// engines.ts: asks podman and docker for the process of a container.

import { execFile } from 'node:child_process';
import { CliFailure, exitCodes } from '../failure.js';

/** In the order in which they are asked. */
export const ENGINES = ['podman', 'docker'] as const;
const TIMEOUT_MS = 15_000;

export type Engine = (typeof ENGINES)[number];

/** A container, as its engine reports it. */
export interface EngineContainer {
  readonly id: string;
  /** Its first process, according to its engine. */
  readonly pid: number;
}

type Answer =
  | ({ readonly kind: 'found'; readonly status: string } & EngineContainer)
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly text: string };

/**
 * Asks podman, then docker.
 * @throws CliFailure if no engine knows the container, or it is not running.
 */
export async function findContainer(name: string): Promise<EngineContainer> {
  const refusals: string[] = [];
  for (const engine of ENGINES) {
    const answer = await ask(engine, name);
    if (answer.kind === 'found') return assertRunning(engine, name, answer);
    if (answer.kind === 'refused') refusals.push(`${engine}: ${answer.text}`);
  }
  if (refusals.length === 0) {
    throw new CliFailure(exitCodes.notFound, 'neither podman nor docker is in PATH', {
      hint: 'Use --pid PID for a process of the container, or --netns PATH for its namespace.',
    });
  }
  throw new CliFailure(exitCodes.notFound, `no container ${name}\n${refusals.join('\n')}`, {
    hint: 'Each user sees only their own containers. Does it belong to another user?',
  });
}

function assertRunning(
  engine: Engine,
  name: string,
  { id, pid, status }: Extract<Answer, { kind: 'found' }>,
): EngineContainer {
  if (pid > 0) return { id, pid };
  throw new CliFailure(exitCodes.notFound, `container ${name} is not running (${status})`, {
    hint: `Start it: ${engine} start ${name}`,
  });
}

function ask(engine: Engine, name: string): Promise<Answer> {
  const format = '{{.State.Pid}} {{.State.Status}} {{.Id}}';
  const args = ['container', 'inspect', '--format', format, '--', name];
  return new Promise((resolve) => {
    execFile(engine, args, { timeout: TIMEOUT_MS, encoding: 'utf8' }, (error, stdout, stderr) => {
      const found = /^(\d+) (\S+) (\S+)$/m.exec(stdout);
      if (error === null && found !== null) {
        const [, pid, status = '', id = ''] = found;
        resolve({ kind: 'found', pid: Number(pid), status, id });
      } else if (error?.code === 'ENOENT') {
        resolve({ kind: 'missing' });
      } else {
        const text = error?.killed === true ? `no answer within ${TIMEOUT_MS} ms` : stderr;
        resolve({ kind: 'refused', text: lastLine(text) || (error?.message ?? 'no process id') });
      }
    });
  });
}

/** Unrelated warnings may come before it. */
function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
