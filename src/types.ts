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
 * Whose address the server sees. `container`: one of the container's own, usually its loopback. `transparent`: the
 * client's. `proxy-v1`, `proxy-v2`: as `container`, with the client's in a PROXY protocol header before the data.
 * @see docs/source-address.md
 */
export type SourceAddress = 'container' | 'transparent' | 'proxy-v1' | 'proxy-v2';

/**
 * A network namespace: a path such as `/proc/123/ns/net` or `/run/netns/web`, or the pid of a process in it. `own` is the
 * one that this process started in, which takes no privilege to use.
 * @see network_namespaces(7)
 */
export type NetnsReference = { readonly path: string } | { readonly pid: number } | 'own';

/** An {@link Engine}, as the forwarders that share it see it. */
export interface EngineHandle {
  readonly closed: boolean;
  close(): Promise<void>;
}

/** Settings of an {@link Engine}; everything is optional. */
export interface EngineOptions {
  /**
   * Threads that relay. Default: the smaller of 2 and the number of processors. Range: 1 to 64. docs/architecture.md
   * explains the default, and which of them accept new connections.
   */
  readonly workers?: number;
  /**
   * How long a worker polls before it sleeps, after it has just relayed something. Unit: microseconds. Default: 0 (never).
   * Range: 0 to 1,000. It shortens the round trip of a single chatty connection and costs CPU time.
   */
  readonly spinMicros?: number;
  /**
   * Capacity requested for each pipe for bulk data. Unit: bytes. Default: 1 MiB.
   * Range: 4,096 to 16 MiB; the kernel rounds up to a power of two and may refuse (fs.pipe-max-size,
   * fs.pipe-user-pages-soft), in which case data is copied instead.
   * @see pipe(7), F_SETPIPE_SZ in fcntl(2)
   */
  readonly pipeCapacityBytes?: number;
  /**
   * Round trip up to which a client counts as near: bulk to it goes through a small send buffer, which stays in the
   * processor's cache. Unit: microseconds. Default: 500. Range: 0 to 1,000,000; 0 leaves all buffers to the kernel,
   * including the container's. Clients farther away always keep the kernel's tuning.
   */
  readonly nearRttMicros?: number;
}

/** Settings of a {@link Forwarder}; everything is optional. Settings of an engine are for the forwarder's own. */
export interface ForwarderOptions extends EngineOptions {
  /** The namespace of forwards that set none. Without it, every forward must set its own. */
  readonly netns?: NetnsReference;
  /**
   * An {@link Engine} to share with other forwarders, which keeps running when this one closes. Default: an engine of its
   * own, which closes with it.
   */
  readonly engine?: EngineHandle;
  /**
   * Called with batches of ended TCP sessions and UDP flows, and of rejected clients, soon after they ended. If it returns
   * a promise, the next batch waits for that. In the meantime, up to 4,096 ends are kept for each worker; further ones are
   * lost and counted in {@link Stats.sessionLogDropped}. Without it, nothing is kept.
   */
  readonly onSessionsEnded?: (ended: readonly EndedSession[]) => void | Promise<void>;
  /** Closes the forwarder at once when it is aborted. */
  readonly signal?: AbortSignal;
}

/** The events of {@link Forwarder.on}, and the arguments of their listeners. */
export interface ForwarderEvents {
  /** A forward accepts clients. */
  readonly added: readonly [forward: Forward];
  /** A forward accepts no more clients. Its sessions may still drain. */
  readonly removed: readonly [forward: Forward];
  /** A forward has another target. */
  readonly retargeted: readonly [forward: Forward, before: Forward];
  /** A forward was added or retargeted, but cannot do everything that was requested: {@link Forward.warning}. */
  readonly warning: readonly [forward: Forward, message: string];
  /**
   * A client of a forward could not be connected to its server: the first one since the forward was added or retargeted, or
   * since another client was connected.
   */
  readonly failed: readonly [forward: Forward, failure: ConnectFailure];
  /** The process whose pid names a forward's namespace has exited. The forward stays. */
  readonly exited: readonly [forward: Forward, pid: number];
}

/** Why a client could not be connected to its server. */
export interface ConnectFailure {
  /** As for {@link EndedSession.ending}. */
  readonly ending: 'connect-failed' | 'connect-timeout';
  /** Why the last attempt failed, such as ECONNREFUSED; absent if none had failed when time was up. */
  readonly error?: string;
}

/** A forward of a socket that is open already, such as one that systemd has passed. */
export interface SocketForwardSpec extends Omit<ForwardSpec, 'host' | 'count'> {
  /**
   * Descriptor of a listening TCP socket, or of a bound UDP socket. The forwarder takes it over when `add` succeeds, and
   * leaves it to the caller otherwise. {@link Forward.host} has its address and port.
   */
  readonly host: { readonly fd: number };
  readonly count?: 1;
}

/** What {@link Forwarder.add} and {@link Forwarder.addAll} take. */
export interface ForwardSpec {
  /** Default: `tcp`. */
  readonly protocol?: Protocol;
  /** Where clients connect. */
  readonly host: {
    /**
     * Address to listen on. Default: every address of both families, on one dual-stack socket (IPv4 alone if the host has
     * no IPv6). `0.0.0.0` means only IPv4, `::` only IPv6.
     */
    readonly address?: string;
    /** 0 to 65535; with 0, the kernel picks one, which {@link Forward.host} has. */
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
   * How long the other end of a TCP session, on either side, may be silent before it is probed. Unit: ms, rounded up to
   * whole seconds. Default: 15,000. Range: 0 to 32,767,000; 0 turns probes off. TCP_KEEPIDLE in tcp(7).
   */
  readonly keepaliveIdleMs?: number;
  /**
   * Time from one such probe to the next while there is no answer. Unit: ms, rounded up to whole seconds.
   * Default: 15,000. Range: 1 to 32,767,000. TCP_KEEPINTVL in tcp(7).
   */
  readonly keepaliveIntervalMs?: number;
  /** Number of probes without an answer after which the session is reset. Default: 9. Range: 1 to 127. TCP_KEEPCNT in tcp(7). */
  readonly keepaliveProbes?: number;
  /**
   * How long a UDP flow is kept without a datagram in either direction. Unit: ms. Default: 90,000.
   * Range: 1 to 86,400,000.
   */
  readonly udpTimeoutMs?: number;
  /**
   * Whether runs of UDP datagrams pass the kernel as one, which is faster. With `false`, a packet capture shows each by
   * itself. Default: true. UDP_SEGMENT and UDP_GRO in udp(7).
   */
  readonly udpSegmentation?: boolean;
  /**
   * Limit on open TCP sessions or UDP flows. Further clients are rejected, whereas {@link ForwardSpec.maxFlows} makes room
   * for them. Default: any number. Range: 1 to 1,048,576.
   */
  readonly maxSessions?: number;
  /**
   * Limit on new TCP sessions or UDP flows per second. After a pause, one second's worth may come at once. Default: any
   * number. Range: 1 to 100,000.
   */
  readonly maxSessionsPerSecond?: number;
  /**
   * The only clients that are accepted: addresses, or blocks such as `10.0.0.0/8`, 1 to 100,000 of them. Default:
   * anyone.
   */
  readonly allow?: readonly string[];
  /** Clients that are rejected, even if they are allowed: up to 100,000 addresses or blocks. Default: no one. */
  readonly deny?: readonly string[];
  /** Limit on open UDP flows; a further one evicts the oldest. Default: 16,384. Range: 1 to 1,048,576. */
  readonly maxFlows?: number;
  /** Whose address the server sees. Default: `container`. UDP has no `proxy-v1`. */
  readonly sourceAddress?: SourceAddress;
  /**
   * Whether load balancers in front name the clients by PROXY protocol headers of either version (UDP: version 2 in each
   * datagram). The client named in the header is then the client everywhere. Default: false.
   */
  readonly acceptProxy?: boolean;
  /**
   * The trusted load balancers: addresses, or blocks such as `10.0.0.0/8`; 1 to 1,024 of them. `acceptProxy` requires it:
   * any other client is reset, and counted.
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

/** A new target for {@link Forwarder.retarget}; fields that are left out stay as they are. */
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
   * How long open sessions may continue after the listener is closed. Unit: ms. Default: 0, they are closed at once.
   * Range: 0 to 86,400,000.
   */
  readonly drainMs?: number;
}

/** Counters of a forward, or of a forwarder since its start. All are totals unless the name says otherwise. */
export interface Stats {
  /** TCP sessions and UDP flows that are open now. */
  readonly sessionsOpen: number;
  /** All TCP sessions and UDP flows so far. */
  readonly sessionsTotal: number;
  /** Sessions whose target could not be reached; their clients were reset. */
  readonly connectFailures: number;
  /** The connect failures that were timeouts. */
  readonly connectTimeouts: number;
  /** Why the latest of the other connect failures happened: the name of an errno. Absent if there was none. */
  readonly connectError?: string;
  /** Retries after a server refused a connection. */
  readonly connectRetries: number;
  /** Sessions that ended by a reset of either side. */
  readonly sessionsReset: number;
  /** Sessions that ended because a system call failed on this machine; with TCP, both ends were reset. */
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
  /** Datagrams that the next socket did not accept, and replies to a client without an address or a port. */
  readonly datagramsDropped: number;
  /** Datagrams that the kernel dropped before they could be read, by its own count (SO_RXQ_OVFL). */
  readonly datagramsLostInKernel: number;
  /** UDP flows ended early to stay within {@link ForwardSpec.maxFlows}. */
  readonly flowsEvicted: number;
  /** UDP flows ended early for newer ones, because the process had no descriptors left. */
  readonly flowsDisplaced: number;
  /** How often a listener paused because descriptors or memory ran out, or because accept(2) or recvmmsg(2) kept failing. */
  readonly acceptPauses: number;
  /** How often bulk data was copied because no useful pipe was available or splice(2) failed. */
  readonly pipeFallbacks: number;
  /** Connections and datagrams rejected because of {@link ForwardSpec.allow} and `deny`. */
  readonly sessionsDenied: number;
  /** Connections and datagrams rejected because of {@link ForwardSpec.maxSessions}. */
  readonly sessionsOverLimit: number;
  /** Connections and datagrams rejected because of {@link ForwardSpec.maxSessionsPerSecond}. */
  readonly sessionsOverRate: number;
  /**
   * Sessions and flows of `transparent` forwards whose servers saw the container's own address, as they always do for
   * clients on the container's networks and on the loopback.
   */
  readonly sourceAddressFallbacks: number;
  /** Connections and datagrams rejected because they came from others than {@link ForwardSpec.trustedProxies}. */
  readonly proxySourcesUntrusted: number;
  /** Connections and datagrams rejected because they did not begin with a valid PROXY header. */
  readonly proxyHeadersMalformed: number;
  /** Connections rejected because their PROXY header took longer than {@link ForwardSpec.proxyHeaderTimeoutMs}. */
  readonly proxyHeadersLate: number;
  /** Ends of sessions that {@link ForwarderOptions.onSessionsEnded} missed because it was too slow. */
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

/** The state of a TCP session; `connecting` includes waiting for a PROXY header. A UDP flow is always `open`. */
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
  /** The address and port that the server sees. Absent until there is a connection to the server. */
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
 * - `address-gone`: at a retarget, the container no longer had the address that the session used; its client was reset.
 * - `local-failure`: a call failed on this machine; both ends were reset.
 * - `idle-timeout`, `evicted`: a UDP flow without datagrams, or one that made room for another.
 * - `connect-failed`, `connect-timeout`: connecting to the server failed or timed out; the client was reset.
 * - `denied`, `over-limit`, `over-rate`: the client was rejected because of `allow` and `deny`, `maxSessions`, or
 *   `maxSessionsPerSecond`.
 * - `proxy-untrusted`, `proxy-malformed`, `proxy-late`: it was rejected because of a missing or invalid PROXY header.
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
 * A TCP session or UDP flow that has ended, or a client that was rejected. Rejected datagrams of a UDP forward are
 * reported once per second, because rejected clients keep sending.
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
  /** How long it took to connect to the server; absent without a connection, and for UDP. Unit: ms. */
  readonly connectMs?: number;
  readonly ending: SessionEnding;
  /** Why the last attempt to connect failed, such as ECONNREFUSED; absent with a connection. */
  readonly error?: string;
}
