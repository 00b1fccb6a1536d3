// running.ts: starts, awaits and stops programs in the same way for all drivers.

import { accessSync, constants } from 'node:fs';
import { type Process, until } from '../process.js';
import { isBound } from '../usage.js';
import type { ForwardRequest, Running } from '../types.js';

/** Which program a driver starts, as the command line named it. */
export interface DriverSpec {
  readonly kind: string;
  readonly label: string;
  /**
   * The folder that its executables come from, in place of the usual one; a Debian root is one too.
   */
  readonly path?: string;
  /** Variables for its environment; options of the constructor for the library. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A started program and how to know that it is ready. */
export interface Launch {
  readonly process: Process;
  /** Resolves when it accepts connections. */
  readonly ready: Promise<unknown>;
  /** Asks it to stop. Default: SIGTERM. */
  readonly ask?: () => void;
}

/** Waits until the program is ready; throws its output if it exits instead. */
export async function awaitReady(request: ForwardRequest, begin: () => Launch): Promise<Running> {
  const begunAt = performance.now();
  const launch = begin();
  try {
    await Promise.race([launch.ready, launch.process.failsEarly()]);
  } catch (error) {
    await launch.process.stop();
    throw error;
  }
  return {
    address: request.hostAddress === '0.0.0.0' ? '127.0.0.1' : request.hostAddress,
    port: request.hostPort,
    readyMs: performance.now() - begunAt,
    pids: () => launch.process.tree(),
    stop: () => launch.process.stop(launch.ask),
  };
}

/** The protocols of a request. */
export function protocolsOf(request: ForwardRequest): readonly ('tcp' | 'udp')[] {
  return request.protocol === 'both' ? ['tcp', 'udp'] : [request.protocol];
}

/** Why a program that needs a TUN device cannot run here, or undefined if it can. */
export function tunProblem(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return '/dev/net/tun is missing or closed to this user: modprobe tun; chmod 666 /dev/net/tun';
  }
}

/**
 * Waits until the last port of the request is bound on the host, which nothing but the program
 * itself notices.
 */
export async function awaitBound(request: ForwardRequest): Promise<void> {
  const port = request.hostPort + request.count - 1;
  for (const protocol of protocolsOf(request)) {
    await until(() => isBound(protocol, port, process.pid), `${protocol} port ${port}`);
  }
}
