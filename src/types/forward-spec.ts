// forward-spec.ts: what a caller writes to add or change a forward.

import type { NetnsReference, Protocol, SourceAddress } from './endpoints.js';

/** A forward of a socket that is open already, such as one that systemd has passed. */
export interface SocketForwardSpec extends Omit<ForwardSpec, 'host' | 'count'> {
  /**
   * Descriptor of a listening TCP socket, or of a bound UDP socket. The forwarder takes it over
   * when `add` succeeds, and leaves it to the caller otherwise. `Forward.host` has its address and
   * port.
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
     * Address to listen on. Default: every address of both families, on one dual-stack socket (IPv4
     * alone if the host has no IPv6). `0.0.0.0` means only IPv4, `::` only IPv6.
     */
    readonly address?: string;
    /** 0 to 65535; with 0, the kernel picks one, which `Forward.host` has. */
    readonly port: number;
  };
  /** Where the server listens, in the namespace. */
  readonly container: {
    /** Default: `127.0.0.1`, the container's own loopback. */
    readonly address?: string;
    /** 1 to 65535. */
    readonly port: number;
  };
  /**
   * Number of consecutive ports, on both sides. Default: 1. More than 1 needs
   * {@link Forwarder.addAll}.
   */
  readonly count?: number;
  /** The namespace that the container's address is in. Default: the forwarder's. */
  readonly netns?: NetnsReference;
  /**
   * How long a connection to the container may take before the client is reset. Unit: ms. Default:
   * 10,000. Range: 1 to 86,400,000.
   */
  readonly connectTimeoutMs?: number;
  /**
   * How long a TCP client waits for a server that refuses or cannot be reached, as while a
   * container starts. What the client sends waits in its socket. Unit: ms. Default: 0, which means
   * a quarter of a second. Range: 0 to 86,400,000.
   */
  readonly waitForServerMs?: number;
  /**
   * How long the other end of a TCP session, on either side, may be silent before it is probed.
   * Unit: ms, rounded up to whole seconds. Default: 15,000. Range: 0 to 32,767,000; 0 turns probes
   * off. TCP_KEEPIDLE in tcp(7).
   */
  readonly keepaliveIdleMs?: number;
  /**
   * Time from one such probe to the next while there is no answer. Unit: ms, rounded up to whole
   * seconds. Default: 15,000. Range: 1 to 32,767,000. TCP_KEEPINTVL in tcp(7).
   */
  readonly keepaliveIntervalMs?: number;
  /**
   * Number of probes without an answer after which the session is reset. Default: 9. Range: 1 to
   * 127. TCP_KEEPCNT in tcp(7).
   */
  readonly keepaliveProbes?: number;
  /**
   * How long a UDP flow is kept without a datagram in either direction. Unit: ms. Default: 90,000.
   * Range: 1 to 86,400,000.
   */
  readonly udpTimeoutMs?: number;
  /**
   * Whether runs of UDP datagrams pass the kernel as one, which is faster. With `false`, a packet
   * capture shows each by itself. Default: true. UDP_SEGMENT and UDP_GRO in udp(7).
   */
  readonly udpSegmentation?: boolean;
  /**
   * Limit on open TCP sessions or UDP flows. Further clients are rejected, whereas
   * {@link ForwardSpec.maxFlows} makes room for them. Default: any number. Range: 1 to 1,048,576.
   */
  readonly maxSessions?: number;
  /**
   * Limit on new TCP sessions or UDP flows per second. After a pause, one second's worth may come
   * at once. Default: any number. Range: 1 to 100,000.
   */
  readonly maxSessionsPerSecond?: number;
  /**
   * Limit on open TCP sessions or UDP flows of one client: an IPv4 address, or an IPv6 network of
   * 64 bits. Its further ones are rejected. Behind a load balancer, the client is the one that the
   * PROXY header names. Default: any number. Range: 1 to 1,048,576.
   */
  readonly maxSessionsPerClient?: number;
  /**
   * The only clients that are accepted: addresses, or blocks such as `10.0.0.0/8`, 1 to 100,000 of
   * them. Default: anyone.
   */
  readonly allow?: readonly string[];
  /**
   * Clients that are rejected, even if they are allowed: up to 100,000 addresses or blocks.
   * Default: no one.
   */
  readonly deny?: readonly string[];
  /**
   * Limit on open UDP flows; a further one evicts the oldest. Default: 16,384. Range: 1 to
   * 1,048,576.
   */
  readonly maxFlows?: number;
  /** Whose address the server sees. Default: `container`. UDP has no `proxy-v1`. */
  readonly sourceAddress?: SourceAddress;
  /**
   * Whether load balancers in front name the clients by PROXY protocol headers of either version
   * (UDP: version 2 in each datagram). The client named in the header is then the client
   * everywhere. Default: false.
   */
  readonly acceptProxy?: boolean;
  /**
   * The trusted load balancers: addresses, or blocks such as `10.0.0.0/8`; 1 to 1,024 of them.
   * `acceptProxy` requires it: any other client is reset, and counted.
   */
  readonly trustedProxies?: readonly string[];
  /**
   * How long a load balancer may take to send a header before it is reset. Unit: ms. Default:
   * 3,000. Range: 1 to 86,400,000.
   */
  readonly proxyHeaderTimeoutMs?: number;
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
