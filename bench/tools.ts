// tools.ts: load by well-known programs, each run from start to end while a forwarder runs.

import type { Lab } from './lab.js';
import { clientCommand, CONTAINER_PORT } from './load.js';
import { Process, until } from './process.js';
import type { Running } from './types.js';
import { cpuSeconds, isBound } from './usage.js';

/** What a program printed, and what the forwarder used while it ran. */
export interface ToolResult {
  readonly output: string;
  /** CPU seconds; undefined without a forwarder. */
  readonly cpu: number | undefined;
}

/** Starts a server in the container and waits until it is there. */
export async function serveBy(
  lab: Lab,
  protocol: 'tcp' | 'udp',
  ...command: readonly string[]
): Promise<Process> {
  const server = new Process([...lab.container.inside(), ...command]);
  const bound = until(
    () => !server.running || isBound(protocol, CONTAINER_PORT, server.pid),
    command.join(' '),
  );
  await Promise.race([bound, server.failsEarly()]);
  return server;
}

/** Runs a client until it exits. */
export async function loadBy(running: Running, ...command: readonly string[]): Promise<ToolResult> {
  const before = cpuSeconds(running.pids());
  const client = new Process([...clientCommand(running), ...command]);
  const output = await client.output();
  const cpu = cpuSeconds(running.pids()) - before;
  return { output, cpu: running.pids().length === 0 ? undefined : cpu };
}

/** The number that a pattern finds in a text. @throws Error when it finds none */
export function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`Expected ${pattern.source} in: ${text.trim()}`);
  return Number(found);
}
