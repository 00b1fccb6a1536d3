// demo-container.ts: starts and stops the demo's container.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ContainerMessage } from './container-messages.js';

const program = fileURLToPath(new URL('./container-process.js', import.meta.url));

/** A request that reached the server in the container. */
export type SeenRequest = Extract<ContainerMessage, { kind: 'request' }>;

/** A process in a network namespace of its own. */
export interface Container {
  readonly pid: number;
  /** As in `/proc/PID/ns/net`. */
  readonly netns: string;
  /** Called for each request; may be replaced. */
  onRequest: (request: SeenRequest) => void;
  /** Stops it, which also removes its namespace. */
  stop(): Promise<void>;
}

/**
 * Starts it, and waits until its server listens.
 * @throws Error if it exits before that.
 */
export async function startContainer(): Promise<Container> {
  const child = spawn('unshare', ['--net', '--', process.execPath, program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const container: Container = {
    pid: child.pid ?? 0,
    netns: await listening(child, ended),
    onRequest: () => undefined,
    stop: async () => {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
  child.on('message', (message: ContainerMessage) => {
    if (message.kind === 'request') container.onRequest(message);
  });
  return container;
}

async function listening(child: ChildProcess, ended: Promise<unknown>): Promise<string> {
  const early = ended.then(() => {
    throw new Error('the container ended before its server was up');
  });
  const [message] = (await Promise.race([once(child, 'message'), early])) as [ContainerMessage];
  // From here on, the container's exit is not a failure.
  early.catch(() => undefined);
  return message.kind === 'listening' ? message.netns : '';
}
