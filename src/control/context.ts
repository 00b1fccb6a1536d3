// context.ts: what the answers of the control API are made from.

import type { Forward } from '../index.js';
import type { ForwarderOperations } from '../operations.js';
import type { ContainerInfo } from './control-types.js';

/** What a port driver for RootlessKit adds to the answers for RootlessKit's clients. */
export interface PortDriver {
  /** RootlessKit's own answer of `GET /v1/info`. */
  readonly info: Readonly<Record<string, unknown>>;
  /** The forward that serves a port now, by the id that clients know the port by. */
  readonly forwardOf: (portId: number) => number | undefined;
  /** The reverse, with the target that was asked for. */
  readonly portOf: (forwardId: number) => Pick<Forward, 'id' | 'container'> | undefined;
}

/** A forwarder, and what its process told when it opened the control socket. */
export interface Context {
  readonly forwarder: ForwarderOperations;
  /** The process that has the forwards. */
  readonly pid: number;
  /** Of spliceport. */
  readonly version: string;
  readonly program: string;
  /**
   * What the forwarder is called on this machine: the name of its control socket without `.sock`.
   */
  readonly name: string;
  readonly container: ContainerInfo | undefined;
  readonly notices: readonly string[];
  /** The folder of the control socket. */
  readonly stateDir: string;
  /** The container's address for a port that is added without one. */
  readonly targetFor: (hostAddress: string) => string;
  readonly onDrained: () => void;
  readonly rootlessKit?: PortDriver | undefined;
  /** Time that `uptimeMs` counts from, on the clock of monotonicMs(). Unit: ms. */
  readonly openedAtMs: number;
}
