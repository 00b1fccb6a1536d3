// session.ts: sessions and flows, open and ended.

import type { Endpoint, Protocol } from './endpoints.js';

/**
 * The state of a TCP session; `connecting` includes waiting for a PROXY header. A UDP flow is
 * always `open`.
 */
export type SessionState = 'connecting' | 'open' | 'half-closed' | 'resetting';

/** An open TCP session or UDP flow. */
export interface Session {
  /** Its forward. */
  readonly forwardId: number;
  /** Its transport. */
  readonly protocol: Protocol;
  /** The client, or the one that a load balancer named. */
  readonly client: Endpoint;
  /** The server, in the container. */
  readonly target: Endpoint;
  /**
   * The address and port that the server sees. Absent until there is a connection to the server.
   */
  readonly source?: Endpoint;
  /** Its state. */
  readonly state: SessionState;
  /** Bytes relayed to the server. */
  readonly bytesToContainer: number;
  /** Bytes relayed to the client. */
  readonly bytesToHost: number;
  /** Time since it opened. Unit: ms. */
  readonly ageMs: number;
}

/**
 * How a TCP session or UDP flow ended.
 * - `fin`: both sides had finished.
 * - `client-reset`, `server-reset`: that side reset it, or became unreachable.
 * - `removed`: its forward was removed, or the forwarder closed.
 * - `address-gone`: at a retarget, the container no longer had the address that the session used;
 *   its client was reset.
 * - `local-failure`: a call failed on this machine; both ends were reset.
 * - `idle-timeout`, `evicted`: a UDP flow without datagrams, or one that made room for another.
 * - `connect-failed`, `connect-timeout`: connecting to the server failed or timed out; the client
 *   was reset.
 * - `denied`, `over-limit`, `over-rate`, `over-client-limit`: the client was rejected because of
 *   `allow` and `deny`, `maxSessions`, `maxSessionsPerSecond`, or `maxSessionsPerClient`.
 * - `proxy-untrusted`, `proxy-malformed`, `proxy-late`: it was rejected because of a missing or
 *   invalid PROXY header.
 */
export type SessionEnding =
  | 'fin'
  | 'client-reset'
  | 'server-reset'
  | 'removed'
  | 'address-gone'
  | 'local-failure'
  | 'idle-timeout'
  | 'evicted'
  | 'connect-failed'
  | 'connect-timeout'
  | 'denied'
  | 'over-limit'
  | 'over-rate'
  | 'over-client-limit'
  | 'proxy-untrusted'
  | 'proxy-malformed'
  | 'proxy-late';

/**
 * A TCP session or UDP flow that has ended, or a client that was rejected. Rejected datagrams of a
 * UDP forward are reported once per second, because rejected clients keep sending.
 */
export interface EndedSession {
  readonly forwardId: number;
  readonly protocol: Protocol;
  readonly client: Endpoint;
  readonly target: Endpoint;
  readonly bytesToContainer: number;
  readonly bytesToHost: number;
  /** How long it was open, to the microsecond. Unit: ms. */
  readonly durationMs: number;
  /**
   * How long it took to connect to the server; absent without a connection, and for UDP. Unit: ms.
   */
  readonly connectMs?: number;
  readonly ending: SessionEnding;
  /** Why the last attempt to connect failed, such as ECONNREFUSED; absent with a connection. */
  readonly error?: string;
}
