// forward-stats.ts: counters.

/**
 * Counters of a forward, or of a forwarder since its start. All are totals unless the name says
 * otherwise.
 */
export interface Stats {
  /** TCP sessions and UDP flows that are open now. */
  readonly sessionsOpen: number;
  /** All TCP sessions and UDP flows so far. */
  readonly sessionsTotal: number;
  /** Sessions whose target could not be reached; their clients were reset. */
  readonly connectFailures: number;
  /** The connect failures that were timeouts. */
  readonly connectTimeouts: number;
  /**
   * Why the latest of the other connect failures happened: the name of an errno. Absent if there
   * was none.
   */
  readonly connectError?: string;
  /** Retries after a server refused a connection. */
  readonly connectRetries: number;
  /**
   * Sessions whose client waited for a server that refused or could not be reached, because of
   * `ForwardSpec.waitForServerMs`.
   */
  readonly serverWaits: number;
  /** Sessions that ended by a reset of either side. */
  readonly sessionsReset: number;
  /**
   * Sessions that ended because a system call failed on this machine; with TCP, both ends were
   * reset.
   */
  readonly localFailures: number;
  /** How often a session moved to another worker, to spread the load. */
  readonly sessionsMoved: number;
  /** Bytes relayed to servers. */
  readonly bytesToContainer: number;
  /** Bytes relayed to clients. */
  readonly bytesToHost: number;
  /** Datagrams relayed to servers. */
  readonly datagramsToContainer: number;
  /** Datagrams relayed to clients. */
  readonly datagramsToHost: number;
  /**
   * Datagrams that the next socket did not accept, and replies to a client without an address or a
   * port.
   */
  readonly datagramsDropped: number;
  /**
   * Datagrams that the kernel dropped before they could be read, by its own count (SO_RXQ_OVFL).
   */
  readonly datagramsLostInKernel: number;
  /** UDP flows ended early to stay within `ForwardSpec.maxFlows`. */
  readonly flowsEvicted: number;
  /** UDP flows ended early for newer ones, because the process had no descriptors left. */
  readonly flowsDisplaced: number;
  /**
   * How often a listener paused because descriptors or memory ran out, or because accept(2) or
   * recvmmsg(2) kept failing.
   */
  readonly acceptPauses: number;
  /** How often bulk data was copied because no useful pipe was available or splice(2) failed. */
  readonly pipeFallbacks: number;
  /** Connections and datagrams rejected because of `ForwardSpec.allow` and `deny`. */
  readonly sessionsDenied: number;
  /** Connections and datagrams rejected because of `ForwardSpec.maxSessions`. */
  readonly sessionsOverLimit: number;
  /** Connections and datagrams rejected because of `ForwardSpec.maxSessionsPerSecond`. */
  readonly sessionsOverRate: number;
  /** Connections and datagrams rejected because of `ForwardSpec.maxSessionsPerClient`. */
  readonly sessionsOverClientLimit: number;
  /**
   * Sessions and flows of `transparent` forwards whose servers saw the container's own address, as
   * they always do for clients on the container's networks and on the loopback.
   */
  readonly sourceAddressFallbacks: number;
  /**
   * Connections and datagrams rejected because they came from others than
   * `ForwardSpec.trustedProxies`.
   */
  readonly proxySourcesUntrusted: number;
  /** Connections and datagrams rejected because they did not begin with a valid PROXY header. */
  readonly proxyHeadersMalformed: number;
  /**
   * Connections rejected because their PROXY header took longer than
   * `ForwardSpec.proxyHeaderTimeoutMs`.
   */
  readonly proxyHeadersLate: number;
  /** Ends of sessions that `ForwarderOptions.onSessionsEnded` missed because it was too slow. */
  readonly sessionLogDropped: number;
  /**
   * Connects by the time they took: counts per bucket of {@link CONNECT_LATENCY_BUCKETS_MICROS},
   * then the rest.
   */
  readonly connectLatency: readonly number[];
  /** The sum of those times. Unit: microseconds. */
  readonly connectMicrosTotal: number;
}

/** Upper bounds of the buckets of {@link Stats.connectLatency}. Unit: microseconds. */
export const CONNECT_LATENCY_BUCKETS_MICROS: readonly number[] = Object.freeze([
  50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
]);
