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
  /** From the end of a container until nobody has its port. Unit: ms. */
  goneMs?: number;
  /** From a reload request to its answer. Unit: ms. */
  reloadMs?: number;
  /** Private dirty memory of all the forwarder's processes. Unit: KiB. */
  memoryKib?: number;
  /** The part of it that belongs to one container alone. Unit: KiB. */
  eachKib?: number;
  /** The same, with its share of the memory that processes share (Pss). */
  eachPssKib?: number;
  /** All told: containers, and the resident if there is one. Unit: KiB. */
  allKib?: number;
  allPssKib?: number;
  /** All told, after the resident's end. Unit: KiB. */
  aloneKib?: number;
  alonePssKib?: number;
  /** The part of it that each connection or flow added. Unit: bytes. */
  memoryPerConnection?: number;
  /** Descriptors that each connection or flow added, in all the forwarder's processes. */
  fdsPerConnection?: number;
  /** Connections that were held open. */
  held?: number;
  /** Times the target was changed under load. */
  reloads?: number;
  /** Sessions that ended too early, or brought other bytes than were sent. */
  broken?: number;
  /** The longest that one operation took. Unit: ms. */
  slowestMs?: number;
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
  /** The container's name, if there is more than one. */
  readonly name?: string;
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

/** Helpers of containers, a process or more for each, that are all ready. */
export interface Helpers extends Running {
  /** Where each one's reload requests go. */
  readonly reloadSockets: readonly string[];
  /** The processes of the containers alone, without a resident that serves them all. */
  ownPids(): number[];
  /** Lets go of all, as the engine does at a container's end; waits until all have exited. */
  end(): Promise<{ readonly goneMs: number }>;
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
  /**
   * Starts a helper for each container, at most `together` of them unready at a time; absent if it
   * is no helper of Podman's kind. All are of one port, or there is only one.
   */
  startMany?(lab: Lab, requests: readonly ForwardRequest[], together?: number): Promise<Helpers>;
  /** Whether its helpers are served by a process that they share. */
  hasResident?(): boolean;
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
  readonly group: 'tcp' | 'udp' | 'containers' | 'life';
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
