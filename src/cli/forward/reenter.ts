// reenter.ts: runs the same command again inside the user namespace that owns the container's
// network namespace. A process with threads, as every Node process is, cannot change its user
// namespace; nsenter can, before it starts node.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { controlFolder } from '../../control/folder.js';
import { probeNetns } from '../../system.js';
import { CliFailure, exitCodes } from '../failure.js';
import {
  enteredEnvironment,
  type OuterAnswer,
  type OuterNotice,
  type OuterQuestion,
} from './outer-process.js';
import { findEntrance } from '../running/processes.js';
import type { Target } from '../running/target.js';
import { notify } from '../systemd/notify.js';
import { passedFds } from '../systemd/sockets.js';

const forwardedSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'] as const;

/**
 * Whether entering the namespace from this process's user namespace is not permitted.
 * @throws SpliceportError if it cannot be entered for another reason, such as that it is gone
 */
export function isForbidden(target: Target): boolean {
  try {
    probeNetns(target.netnsPath);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM' || code === 'EACCES') return true;
    throw error;
  }
}

/**
 * Runs this process's command line again in the user namespace of a process near the target.
 * @returns The inner process's exit code, or as in a shell 128 plus the number of the signal that
 * ended it.
 * @throws CliFailure if there is no such process
 */
export async function reenter(target: Target): Promise<number> {
  const entrance = findEntrance(target.netnsPath, target.pid);
  if (entrance === undefined) throw noWayIn(target);
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const sockets = passedFds();
  const child = spawn(
    'nsenter',
    ['--preserve-credentials', '-U', '-t', String(entrance), '--', ...again],
    {
      // In a session of its own: Ctrl-C must reach it only once, through this process.
      detached: true,
      // It exits with this process, however this one exits, because the channel between them
      // closes.
      // Sockets of systemd keep their numbers.
      stdio: ['inherit', 'inherit', 'inherit', ...sockets, 'ipc'],
      env: {
        ...process.env,
        ...enteredEnvironment(target),
        SPLICEPORT_CONTROL_DIR: controlFolder(),
      },
    },
  );
  const pass = (signal: NodeJS.Signals): boolean => child.kill(signal);
  for (const signal of forwardedSignals) process.on(signal, pass);
  child.on('message', (message: OuterNotice | OuterQuestion) => {
    if ('notify' in message) notify(message.notify);
    else void answer(child, message);
  });
  // They are the inner process's now; a port that it frees must not stay open here.
  for (const fd of sockets) closeSync(fd);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
  } catch (error) {
    throw cannotRun(error as NodeJS.ErrnoException);
  } finally {
    for (const signal of forwardedSignals) process.off(signal, pass);
  }
}

async function answer(child: ChildProcess, question: OuterQuestion): Promise<void> {
  const reply = await ('run' in question ? run(question.run) : lookUp(question.lookUp));
  // It may have exited in the meantime.
  if (child.connected) child.send(reply, () => undefined);
}

async function run(command: string): Promise<OuterAnswer> {
  const { runCommand } = await import('./run-command.js');
  return { exitCode: await runCommand(command) };
}

async function lookUp(name: string): Promise<OuterAnswer> {
  const { findContainer } = await import('../running/engines.js');
  const container = await findContainer(name).catch(() => undefined);
  return container === undefined ? {} : { container };
}

function noWayIn({ netnsPath, pid }: Target): CliFailure {
  const whose = pid === undefined ? netnsPath : `${netnsPath} of process ${pid}`;
  const reason =
    pid === undefined
      ? 'You can see no process in that namespace, so the user namespace that owns it is unknown. ' +
        'Name a process in it with --pid PID, or run as root'
      : `You are not root in the user namespace of process ${pid}. Run this as the user who started the ` +
        'container, or as root';
  return new CliFailure(exitCodes.notAllowed, `cannot enter the network namespace ${whose}`, {
    hint: `${reason}: sudo spliceport ${process.argv.slice(2).join(' ')}`,
    code: 'EPERM',
  });
}

function cannotRun(error: NodeJS.ErrnoException): CliFailure {
  const missing = error.code === 'ENOENT';
  return new CliFailure(exitCodes.failed, `cannot run nsenter: ${error.message}`, {
    hint: missing ? 'nsenter is part of util-linux. Install it, or run as root.' : undefined,
    cause: error,
  });
}
