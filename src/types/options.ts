// options.ts: options of engines and forwarders.

import type { NetnsReference } from './endpoints.js';
import type { EndedSession } from './session.js';

/** An {@link Engine}, as the forwarders that share it see it. */
export interface EngineHandle {
  readonly closed: boolean;
  close(): Promise<void>;
}

/** Settings of an {@link Engine}; everything is optional. */
export interface EngineOptions {
  /**
   * Threads that relay. Default: the smaller of 2 and the number of processors. Range: 1 to 64.
   * docs/architecture.md explains the default, and which of them accept new connections.
   */
  readonly workers?: number;
  /**
   * How long a worker polls before it sleeps, after it has just relayed something. Unit:
   * microseconds. Default: 0 (never). Range: 0 to 1,000. It shortens the round trip of a single
   * chatty connection and costs CPU time.
   */
  readonly spinMicros?: number;
  /**
   * Capacity requested for each pipe for bulk data. Unit: bytes. Default: 1 MiB. Range: 4,096 to 16
   * MiB; the kernel rounds up to a power of two and may refuse (fs.pipe-max-size,
   * fs.pipe-user-pages-soft), in which case data is copied instead.
   * @see pipe(7), F_SETPIPE_SZ in fcntl(2)
   */
  readonly pipeCapacityBytes?: number;
  /**
   * Round trip up to which a client counts as near: bulk to it goes through a small send buffer,
   * which stays in the processor's cache. Unit: microseconds. Default: 500. Range: 0 to 1,000,000;
   * 0 leaves all buffers to the kernel, including the container's. Clients farther away always keep
   * the kernel's tuning.
   */
  readonly nearRttMicros?: number;
}

/**
 * Settings of a {@link Forwarder}; everything is optional. Settings of an engine are for the
 * forwarder's own.
 */
export interface ForwarderOptions extends EngineOptions {
  /** The namespace of forwards that set none. Without it, every forward must set its own. */
  readonly netns?: NetnsReference;
  /**
   * An {@link Engine} to share with other forwarders, which keeps running when this one closes.
   * Default: an engine of its own, which closes with it.
   */
  readonly engine?: EngineHandle;
  /**
   * Called with batches of ended TCP sessions and UDP flows, and of rejected clients, soon after
   * they ended. If it returns a promise, the next batch waits for that. In the meantime, up to
   * 4,096 ends are kept for each worker; further ones are lost and counted in
   * `Stats.sessionLogDropped`. Without it, nothing is kept.
   */
  readonly onSessionsEnded?: (ended: readonly EndedSession[]) => void | Promise<void>;
  /** Closes the forwarder at once when it is aborted. */
  readonly signal?: AbortSignal;
}

/** How {@link Forwarder.remove} and {@link Forwarder.close} treat what is still open. */
export interface CloseOptions {
  /**
   * How long open sessions may continue after the listener is closed. Unit: ms. Default: 0, they
   * are closed at once. Range: 0 to 86,400,000.
   */
  readonly drainMs?: number;
}
