// control-types.ts: what goes over the control socket, in the project's own words. RootlessKit's
// are in rootlesskit.ts.

import type { Forward, ForwardSpec, Session, Stats } from '../index.js';

export type { Forward, ForwardSpec, Session, Stats };

/** Answer of `GET /v1/forwarder`: the process behind a control socket. */
export interface ForwarderInfo {
  /** Version of spliceport. */
  readonly version: string;
  readonly pid: number;
  /** What the process is, such as `rootlessport`. */
  readonly program: string;
  /** The container that it serves, where it serves a single one and knows it. */
  readonly container?: ContainerInfo;
  /** Time since the control socket was opened. Unit: ms. */
  readonly uptimeMs: number;
  /** True while a drain is under way. */
  readonly draining: boolean;
  /**
   * What went wrong without stopping it, such as a settings file that could not be read. A sentence
   * each.
   */
  readonly notices: readonly string[];
}

/** A container, as far as it is known. */
export interface ContainerInfo {
  /** The id that its engine gave it. */
  readonly id?: string;
  /** Its name, where the forwarder can tell it. */
  readonly name?: string;
  /** A process in it. */
  readonly pid?: number;
}

/** Body of `POST /v1/forwards`: all of them or none. */
export interface AddRequest {
  /** Objects, or texts such as `8080:80/tcp`. */
  readonly specs: readonly (ForwardSpec | string)[];
}

/** Answer of `GET /v1/stats`. */
export interface StatsReport {
  /** Of everything since the start, forwards that are gone among it. */
  readonly total: Stats;
  /** Of each forward that takes clients. */
  readonly forwards: readonly { readonly id: number; readonly stats: Stats }[];
  /**
   * Upper bounds of the buckets of `connectLatency`; what is above the last has a bucket more.
   * Unit: microseconds.
   */
  readonly connectLatencyBucketsMicros: readonly number[];
}

/** Body of `POST /v1/drain`. */
export interface DrainRequest {
  /** How long sessions may go on. Unit: ms. Range: 0 to 86,400,000. */
  readonly drainMs: number;
}

/** Answer of `POST /v1/drain`, once everything has ended. */
export interface DrainReport {
  /** Forwards that took clients before. */
  readonly forwards: number;
  /** Sessions and flows that were open when the drain began. */
  readonly sessions: number;
  /** How long it took; less than `drainMs` when everything ended by itself. Unit: ms. */
  readonly tookMs: number;
}

/** Body of every answer that tells of a failure. */
export interface Failure {
  /** A sentence. */
  readonly message: string;
  /** A code of docs/errors.md, where the failure has one. */
  readonly code?: string;
  /** Advice, where the cause is a common one. */
  readonly hint?: string;
}
