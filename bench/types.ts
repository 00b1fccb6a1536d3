// types.ts: the types that the parts of the benchmark share. Imports only types.

import type { Lab } from './lab.js';

/** The figures of one measurement; a scenario sets those that it measures. */
export interface Figures {
  /** Per second, in the scenario's {@link Scenario.unit}. */
  rate?: number;
  /**
   * CPU time of all the forwarder's processes. Unit: seconds per gigabyte, or microseconds
   * per operation.
   */
  cpu?: number;
  p50Micros?: number;
  p99Micros?: number;
  /** Connections or exchanges that failed. */
  errors?: number;
  /** Share of the datagrams that never arrived. Unit: percent. */
  lossPercent?: number;
  /** From the start of the program until the port answers. Unit: ms. */
  readyMs?: number;
  /** From the request to stop until every process is gone. Unit: ms. */
  stopMs?: number;
  /** Private dirty memory of all the forwarder's processes. Unit: KiB. */
  memoryKib?: number;
  /** The part of it that each connection or flow added. Unit: bytes. */
  memoryPerConnection?: number;
  /** Descriptors that each connection or flow added, in all the forwarder's processes. */
  fdsPerConnection?: number;
  /** Connections that were held open. */
  held?: number;
  /** Times the target was changed under load. */
  reloads?: number;
}

/** The name of one of the {@link Figures}. */
export type Metric = keyof Figures;

/** Where a forwarder is to take connections, and to where. */
export interface ForwardRequest {
  /** `both` is one port number for TCP and for UDP. */
  readonly protocol: 'tcp' | 'udp' | 'both';
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerPort: number;
  /** Consecutive ports. */
  readonly count: number;
}

/** A forwarder that is ready. */
export interface Running {
  /** Where clients connect. */
  readonly address: string;
  readonly port: number;
  /** The namespace that clients run in, if it is not the host's. */
  readonly clientNetns?: string;
  readonly readyMs: number;
  /** The socket that accepts reloads, if there is one. */
  readonly reloadSocket?: string;
  /** All its processes, as they are now. */
  pids(): number[];
  /** Stops it and waits until all its processes have exited. May be called twice. */
  stop(): Promise<void>;
}

/** A program that forwards ports, or a variant of one. */
export interface Driver {
  /** Its name in the tables; unique in a run. */
  readonly label: string;
  /** Which program it is. */
  readonly kind: string;
  readonly protocols: readonly ('tcp' | 'udp')[];
  /** Whether one instance of it forwards many ports. */
  readonly ranges: boolean;
  /** Whether one instance of it forwards both protocols. */
  readonly both: boolean;
  /** Whether a target can be changed while it runs, in the way of Podman's reload. */
  readonly reloads: boolean;
  /** Why it cannot run here and how to change that, or undefined if it can. */
  missing(): string | undefined;
  version(): string;
  /** Where the program is from. */
  origin(): string;
  start(lab: Lab, request: ForwardRequest): Promise<Running>;
}

/** How long each measurement takes. Unit: seconds. */
export interface Timing {
  readonly seconds: number;
  readonly warmup: number;
}

/** One kind of work for a forwarder. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly group: 'tcp' | 'udp' | 'life';
  readonly protocol: 'tcp' | 'udp';
  /** The unit of {@link Figures.rate}. */
  readonly unit: 'Gb/s' | '/s';
  /** The figure that programs are compared by, in addition to the CPU time. */
  readonly headline: Metric;
  /** Whether it is part of a run that names no scenario. */
  readonly byDefault: boolean;
  /** The number of rounds after which further ones would add nothing. */
  readonly maxRounds?: number;
  /** Programs that make the load. */
  readonly needs?: readonly string[];
  /** Drivers that can do it; by default all that support the protocol. */
  readonly suits?: (driver: Driver) => boolean;
  measure(lab: Lab, driver: Driver, timing: Timing): Promise<Figures>;
}
