// page-messages.ts: what goes between `spliceport ui` and its page. Types alone.

import type { counters } from '../spec/counters.js';

/** A forwarder that answers. */
export interface ForwarderRow {
  readonly id: string;
  readonly program: string;
  readonly version: string;
  /** Its container, by name where that is known; empty if it serves none in particular. */
  readonly container: string;
  /** Of the server's clock. Unit: ms. */
  readonly startedAtMs: number;
  readonly draining: boolean;
  readonly notices: readonly string[];
}

/** A forward of it. */
export interface ForwardRow {
  /** As on the command line: `4281/1`. */
  readonly id: string;
  readonly forwarder: string;
  readonly protocol: 'tcp' | 'udp';
  /** `*:80`, `127.0.0.1:80`. */
  readonly host: string;
  readonly hostPort: number;
  readonly target: string;
  readonly targetAddress: string;
  readonly targetPort: number;
  /** The container, or the path of the namespace. */
  readonly place: string;
  readonly sourceAddress: string;
  readonly warning?: string;
}

type CounterName = Exclude<keyof typeof counters, 'connectError' | 'connectLatency'>;

/** Its counters, and how many connects `connectMicrosTotal` is the sum of. */
export type Counters = Readonly<Record<CounterName | 'connects', number>> & {
  readonly connectError?: string;
};

/** An open session or flow. */
export interface SessionRow {
  readonly key: string;
  readonly forward: string;
  readonly protocol: 'tcp' | 'udp';
  readonly client: string;
  readonly target: string;
  /** What the server sees; empty until there is a connection to it. */
  readonly source: string;
  readonly state: string;
  /** Of the server's clock. Unit: ms. */
  readonly openedAtMs: number;
  readonly toContainer: number;
  readonly toHost: number;
}

/** A session that has changed: its key, its two totals and its state. */
export type SessionChange = readonly [
  key: string,
  toContainer: number,
  toHost: number,
  state: string,
];

/** A forwarder that does not answer. */
export interface Silent {
  readonly id: string;
  readonly message: string;
}

/** Rows that are new or different, and the keys of those that are no more. */
export interface Changes<T> {
  readonly set: readonly T[];
  readonly gone: readonly string[];
}

/** What has changed since the message before; the first one of a connection has everything. */
export interface News {
  /** The server's clock. Unit: ms. */
  readonly atMs: number;
  readonly forwarders?: Changes<ForwarderRow>;
  readonly forwards?: Changes<ForwardRow>;
  /** By forward, those that are different. */
  readonly counters?: readonly (readonly [forward: string, counters: Partial<Counters>])[];
  readonly silent?: readonly Silent[];
  readonly sessions?: Changes<SessionRow> & { readonly changed: readonly SessionChange[] };
}

/** Body of a request to change something. */
export type Action =
  | {
      readonly do: 'add';
      readonly forwarder: string;
      /** As on the command line: `8080:80`. */
      readonly spec: string;
      readonly maxSessions?: number;
      readonly maxRate?: number;
      readonly maxPerClient?: number;
      readonly allow?: readonly string[];
      readonly deny?: readonly string[];
    }
  | {
      readonly do: 'retarget';
      readonly forward: string;
      readonly address: string;
      readonly port: number;
    }
  | { readonly do: 'remove'; readonly forward: string; readonly drainSeconds: number }
  | { readonly do: 'drain'; readonly forwarder: string; readonly drainSeconds: number };

/** The answer: what has been done, or why not. */
export interface Outcome {
  readonly message: string;
  readonly hint?: string;
}
