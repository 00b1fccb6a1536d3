// forwards.ts: a running forward, and what is reported of it.

import type { Endpoint, Protocol, SourceAddress } from './endpoints.js';

/** The events of {@link Forwarder.on}, and the arguments of their listeners. */
export interface ForwarderEvents {
  /** A forward accepts clients. */
  readonly added: readonly [forward: Forward];
  /** A forward accepts no more clients. Its sessions may still drain. */
  readonly removed: readonly [forward: Forward];
  /** A forward has another target. */
  readonly retargeted: readonly [forward: Forward, before: Forward];
  /**
   * A forward was added or retargeted, but cannot do everything that was requested:
   * {@link Forward.warning}.
   */
  readonly warning: readonly [forward: Forward, message: string];
  /**
   * A client of a forward could not be connected to its server: the first one since the forward was
   * added or retargeted, or since another client was connected.
   */
  readonly failed: readonly [forward: Forward, failure: ConnectFailure];
  /** The process whose pid names a forward's namespace has exited. The forward stays. */
  readonly exited: readonly [forward: Forward, pid: number];
}

/** Why a client could not be connected to its server. */
export interface ConnectFailure {
  /** As for `EndedSession.ending`. */
  readonly ending: 'connect-failed' | 'connect-timeout';
  /**
   * Why the last attempt failed, such as ECONNREFUSED; absent if none had failed when time was up.
   */
  readonly error?: string;
}

/** A running forward: one protocol, one host endpoint, one target. A frozen snapshot. */
export interface Forward {
  /** Counts from 1 within its engine, never reused. */
  readonly id: number;
  /** Its transport. */
  readonly protocol: Protocol;
  /** Where clients connect; the port is the one in use, even if 0 was requested. */
  readonly host: Endpoint & {
    /** True if one socket serves both families. */
    readonly dualStack: boolean;
  };
  /** Where the server listens. */
  readonly container: Endpoint;
  /** The path that was opened to reach the container's namespace. */
  readonly netnsPath: string;
  /** Whose address the server should see, as requested. */
  readonly sourceAddress: SourceAddress;
  /** Why the server still sees the container's address, as a sentence; absent otherwise. */
  readonly warning?: string;
}
