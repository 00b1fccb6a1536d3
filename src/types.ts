// types.ts: the public types. Imports nothing.

/** The transport of a forward. The family comes from the host address. */
export type Protocol = 'tcp' | 'udp';

/** The two sides of a forward: `host` is where clients connect, `container` is where the server listens. */
export type Side = 'host' | 'container';

/** A numeric IP address and a port. */
export interface Endpoint {
  /** IPv4 or IPv6 in text form, without brackets. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
}

/**
 * Whose address the server sees. `container`: the one that the container's namespace itself connects from, its own
 * loopback most often. `transparent`: the client's. `proxy-v1`, `proxy-v2`: as `container`, with the client's in a PROXY
 * protocol header ahead of the data.
 * @see docs/source-address.md
 */
export type SourceAddress = 'container' | 'transparent' | 'proxy-v1' | 'proxy-v2';

/**
 * A network namespace: a path such as `/proc/123/ns/net` or `/run/netns/web`, or the pid of a process that lives in it.
 * @see network_namespaces(7)
 */
export type NetnsReference = { readonly path: string } | { readonly pid: number };

/** Settings of a {@link Forwarder}; everything is optional. */
export interface ForwarderOptions {
  /** The namespace of forwards that name none. Without it every forward must name its own. */
  readonly netns?: NetnsReference;
  /**
   * Threads that relay. Default: the smaller of 2 and the number of processors; docs/architecture.md says why, and which
   * of them take new connections. Range: 1 to 64.
   */
  readonly workers?: number;
  /**
   * How long a worker polls before it sleeps, after it has just relayed something. Unit: microseconds. Default: 0 (never).
   * Range: 0 to 1,000. It shortens the round trip of a single chatty connection and costs processor time.
   */
  readonly spinMicros?: number;
  /**
   * Capacity asked for each pipe that bulk data is spliced through. Unit: bytes. Default: 1 MiB.
   * Range: 4,096 to 16 MiB; the kernel rounds up to a power of two and may refuse (fs.pipe-max-size,
   * fs.pipe-user-pages-soft), in which case data is copied instead.
   * @see pipe(7), F_SETPIPE_SZ in fcntl(2)
   */
  readonly pipeCapacityBytes?: number;
  /**
   * The round trip up to which a client counts as near: bulk to it goes through a small send buffer, which stays in the
   * processor's cache. Unit: microseconds. Default: 500. Range: 0 to 1,000,000; 0 leaves all buffers to the kernel, the
   * container's side too. A client that is farther away always keeps the kernel's tuning.
   */
  readonly nearRttMicros?: number;
  /**
   * Is told of every TCP session and UDP flow that has ended, and of clients that were refused; in batches, soon after.
   * Where it gives a promise, the next batch waits for that. What comes meanwhile is kept, 4,096 ends for each worker, and
   * what does not find room is counted in {@link Stats.sessionLogDropped}. Default: nobody is told, and nothing is kept.
   */
  readonly onSessionsEnded?: (ended: readonly EndedSession[]) => void | Promise<void>;
  /** Closes the forwarder, at once, when it is aborted. */
  readonly signal?: AbortSignal;
}

/** What {@link Forwarder.on} can be told of, and with what. */
export interface ForwarderEvents {
  /** A forward takes clients. */
  readonly added: readonly [forward: Forward];
  /** A forward takes no clients any more. Its sessions may still drain. */
  readonly removed: readonly [forward: Forward];
  /** A forward has another target. */
  readonly retargeted: readonly [forward: Forward, before: Forward];
  /** A forward was added or retargeted, and does not do all that it was asked for: {@link Forward.warning}. */
  readonly warning: readonly [forward: Forward, message: string];
}

/** What {@link Forwarder.add} and {@link Forwarder.addAll} take. */
export interface ForwardSpec {
  /** Default: `tcp`. */
  readonly protocol?: Protocol;
  /** Where clients connect. */
  readonly host: {
    /**
     * Address to listen on. Default: every address of both families, on one dual-stack socket (IPv4 alone where
     * the host has no IPv6). `0.0.0.0` and `::` are IPv4 alone and IPv6 alone.
     */
    readonly address?: string;
    /** 0 to 65535; 0 lets the kernel choose, and {@link Forward.host} tells which. */
    readonly port: number;
  };
  /** Where the server listens, in the namespace. */
  readonly container: {
    /** Default: `127.0.0.1`, the container's own loopback. */
    readonly address?: string;
    /** 1 to 65535. */
    readonly port: number;
  };
  /** Number of consecutive ports, on both sides. Default: 1. More than 1 needs {@link Forwarder.addAll}. */
  readonly count?: number;
  /** The namespace that the container's address is in. Default: the forwarder's. */
  readonly netns?: NetnsReference;
  /**
   * How long a connection to the container may take before the client is reset. Unit: ms. Default: 10,000.
   * Range: 1 to 86,400,000.
   */
  readonly connectTimeoutMs?: number;
  /**
   * After what silence the other end of a TCP session, on either side, is asked whether it is still there. Unit: ms,
   * rounded up to whole seconds. Default: 15,000. Range: 0 to 32,767,000; 0: it is not asked. TCP_KEEPIDLE in tcp(7).
   */
  readonly keepaliveIdleMs?: number;
  /**
   * How long after one such probe the next is sent, while there is no answer. Unit: ms, rounded up to whole seconds.
   * Default: 15,000. Range: 1 to 32,767,000. TCP_KEEPINTVL in tcp(7).
   */
  readonly keepaliveIntervalMs?: number;
  /** Probes without an answer after which the session is reset. Default: 9. Range: 1 to 127. TCP_KEEPCNT in tcp(7). */
  readonly keepaliveProbes?: number;
  /**
   * How long a UDP flow lives without a datagram in either direction. Unit: ms. Default: 90,000.
   * Range: 1 to 86,400,000.
   */
  readonly udpTimeoutMs?: number;
  /**
   * Whether runs of UDP datagrams pass the kernel as one, which is faster. With `false` each passes by itself, also in a
   * capture of packets. Default: true. UDP_SEGMENT and UDP_GRO in udp(7).
   */
  readonly udpSegmentation?: boolean;
  /**
   * Most TCP sessions or UDP flows at a time; a further client is refused, where {@link ForwardSpec.maxFlows} makes room
   * for it. Default: any number. Range: 1 to 1,048,576.
   */
  readonly maxSessions?: number;
  /**
   * Most new TCP sessions or UDP flows per second. After a pause, one second's worth may come at once. Default: any
   * number. Range: 1 to 100,000.
   */
  readonly maxSessionsPerSecond?: number;
  /**
   * The clients that are let in, and nobody else: addresses, or blocks such as `10.0.0.0/8`. Default: anybody. 1 to
   * 100,000 of them.
   */
  readonly allow?: readonly string[];
  /** The clients that are refused, also of those allowed. Default: nobody. Up to 100,000. */
  readonly deny?: readonly string[];
  /** Most UDP flows at a time; a further one evicts the oldest. Default: 16,384. Range: 1 to 1,048,576. */
  readonly maxFlows?: number;
  /** Whose address the server sees. Default: `container`. UDP has no `proxy-v1`. */
  readonly sourceAddress?: SourceAddress;
  /**
   * Whether a load balancer in front names the clients, by a header of the PROXY protocol, of either version (UDP: version 2
   * in each datagram). What it names is then the client in everything. Default: false.
   */
  readonly acceptProxy?: boolean;
  /**
   * The load balancers that are believed: addresses, or blocks such as `10.0.0.0/8`; 1 to 1,024 of them. Goes with
   * `acceptProxy`, which needs it: whoever else connects is reset, and counted.
   */
  readonly trustedProxies?: readonly string[];
  /**
   * How long a load balancer may take to send a header before it is reset. Unit: ms. Default: 3,000.
   * Range: 1 to 86,400,000.
   */
  readonly proxyHeaderTimeoutMs?: number;
}

/** A running forward: one protocol, one host endpoint, one target. A frozen snapshot. */
export interface Forward {
  /** Counts from 1 within its forwarder and is never used again. */
  readonly id: number;
  /** Its transport. */
  readonly protocol: Protocol;
  /** Where clients connect; the port is the real one, also when 0 was asked for. */
  readonly host: Endpoint & {
    /** True when one socket serves both families. */
    readonly dualStack: boolean;
  };
  /** Where the server listens. */
  readonly container: Endpoint;
  /** The path that was opened to reach the container's namespace. */
  readonly netnsPath: string;
  /** Whose address the server sees, as it was asked for. */
  readonly sourceAddress: SourceAddress;
  /** Why it is the container's all the same; a sentence. Absent when there is nothing to say. */
  readonly warning?: string;
}

/** A new target for {@link Forwarder.retarget}; what is left out stays as it is. */
export interface TargetChange {
  /** IPv4 or IPv6 in text form, without brackets. */
  readonly address?: string;
  /** 1 to 65535. */
  readonly port?: number;
  /** The namespace that the address is in. */
  readonly netns?: NetnsReference;
}

/** How {@link Forwarder.remove} and {@link Forwarder.close} treat what is still open. */
export interface CloseOptions {
  /**
   * How long live sessions may go on after the listener is closed. Unit: ms. Default: 0, they are closed at once.
   * Range: 0 to 86,400,000.
   */
  readonly drainMs?: number;
}

/** Counters of a forward, or of a forwarder since its start. All are totals unless the name says otherwise. */
export interface Stats {
  /** TCP sessions and UDP flows that are open now. */
  readonly sessionsOpen: number;
  /** TCP sessions and UDP flows that there have been. */
  readonly sessionsTotal: number;
  /** Sessions whose container side could not be connected in time; their clients were reset. */
  readonly connectFailures: number;
  /** Of these, the ones that ran into the connect timeout. */
  readonly connectTimeouts: number;
  /** Why the latest of the others failed: the name of an errno. Absent when there was none. */
  readonly connectError?: string;
  /** Times a further attempt was made to connect to a container that refused. */
  readonly connectRetries: number;
  /** Sessions that ended by a reset of either side. */
  readonly sessionsReset: number;
  /** Sessions that ended because a call failed on this machine; of TCP, both ends were reset. */
  readonly localFailures: number;
  /** Payload passed on to servers. */
  readonly bytesToContainer: number;
  /** Payload passed on to clients. */
  readonly bytesToHost: number;
  /** Datagrams passed on to servers. */
  readonly datagramsToContainer: number;
  /** Datagrams passed on to clients. */
  readonly datagramsToHost: number;
  /** Datagrams that the next socket would not take, and answers to a client without an address or a port. */
  readonly datagramsDropped: number;
  /** Datagrams that the kernel dropped before they could be read, by its own count (SO_RXQ_OVFL). */
  readonly datagramsLostInKernel: number;
  /** UDP flows ended early to stay within {@link ForwardSpec.maxFlows}. */
  readonly flowsEvicted: number;
  /** UDP flows ended early for newer ones, because the process had no descriptors for more. */
  readonly flowsDisplaced: number;
  /** Times a listener paused because descriptors or memory had run out, or accept(2), for UDP recvmmsg(2), kept failing. */
  readonly acceptPauses: number;
  /** Times bulk data was copied because no useful pipe was to be had or splice(2) failed. */
  readonly pipeFallbacks: number;
  /** Connections, and datagrams, of clients that {@link ForwardSpec.allow} and `deny` keep out; refused. */
  readonly sessionsDenied: number;
  /** Connections, and datagrams, of clients beyond {@link ForwardSpec.maxSessions}; refused. */
  readonly sessionsOverLimit: number;
  /** Connections, and datagrams, of clients beyond {@link ForwardSpec.maxSessionsPerSecond}; refused. */
  readonly sessionsOverRate: number;
  /**
   * Sessions and flows of `transparent` forwards whose servers were shown the container's own address, as clients on the
   * container's own networks and on the loopback always are.
   */
  readonly sourceAddressFallbacks: number;
  /** Connections, and datagrams, from others than {@link ForwardSpec.trustedProxies}; refused. */
  readonly proxySourcesUntrusted: number;
  /** Connections that began, and datagrams that came, without a right PROXY header; refused. */
  readonly proxyHeadersMalformed: number;
  /** Connections whose PROXY header took longer than {@link ForwardSpec.proxyHeaderTimeoutMs}; refused. */
  readonly proxyHeadersLate: number;
  /** Ends of sessions that {@link ForwarderOptions.onSessionsEnded} was not told of, because it was too slow. */
  readonly sessionLogDropped: number;
  /** Connects by the time they took: counts per bucket of {@link CONNECT_LATENCY_BUCKETS_MICROS}, then the rest. */
  readonly connectLatency: readonly number[];
  /** The sum of those times. Unit: microseconds. */
  readonly connectMicrosTotal: number;
}

/** Upper bounds of the buckets of {@link Stats.connectLatency}. Unit: microseconds. */
export const CONNECT_LATENCY_BUCKETS_MICROS: readonly number[] = Object.freeze([
  50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
]);

/** Where a TCP session stands; `connecting` also while its PROXY header is awaited. A UDP flow is always `open`. */
export type SessionState = 'connecting' | 'open' | 'half-closed' | 'resetting';

/** One live TCP session or UDP flow. */
export interface Session {
  /** The forward that it came in by. */
  readonly forwardId: number;
  /** Its transport. */
  readonly protocol: Protocol;
  /** Who connected, or the one that a load balancer named. */
  readonly client: Endpoint;
  /** The server, in the container. */
  readonly target: Endpoint;
  /** Where the server sees it come from. Absent until there is a connection to the server. */
  readonly source?: Endpoint;
  /** Where it stands. */
  readonly state: SessionState;
  /** Payload passed on to the server. */
  readonly bytesToContainer: number;
  /** Payload passed on to the client. */
  readonly bytesToHost: number;
  /** Time since it began. Unit: ms. */
  readonly ageMs: number;
}

/**
 * How a TCP session or UDP flow ended.
 * - `fin`: both sides had said all.
 * - `client-reset`, `server-reset`: that side ended it by a reset, or could not be reached any more.
 * - `removed`: its forward was removed, or the forwarder closed.
 * - `address-gone`: at a retarget, the container no longer had the address that the session was at; its client was reset.
 * - `local-failure`: a call failed on this machine; both ends were reset.
 * - `idle-timeout`, `evicted`: a UDP flow that nobody used any more, or that had to make room for another.
 * - `connect-failed`, `connect-timeout`: there was no connection to the server; the client was reset.
 * - `denied`, `over-limit`, `over-rate`: the client was refused because of `allow` and `deny`, `maxSessions`, or
 *   `maxSessionsPerSecond`.
 * - `proxy-untrusted`, `proxy-malformed`, `proxy-late`: it was refused for want of a right PROXY header.
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
  | 'proxy-untrusted'
  | 'proxy-malformed'
  | 'proxy-late';

/**
 * A TCP session or UDP flow that has ended, or a client that was refused. Of a UDP forward's refused datagrams one is told
 * of per second, since who is refused sends on.
 */
export interface EndedSession {
  readonly forwardId: number;
  readonly protocol: Protocol;
  readonly client: Endpoint;
  readonly target: Endpoint;
  readonly bytesToContainer: number;
  readonly bytesToHost: number;
  /** From its begin to its end, to the microsecond. Unit: ms. */
  readonly durationMs: number;
  /** How much of that went by until the server was connected; absent where it never was, and for UDP. Unit: ms. */
  readonly connectMs?: number;
  readonly ending: SessionEnding;
  /** Why the last attempt to connect failed, such as ECONNREFUSED; absent where there was a connection. */
  readonly error?: string;
}
