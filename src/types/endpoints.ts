// endpoints.ts: addresses, namespaces and the two sides of a forward.

/** The transport of a forward. The family comes from the host address. */
export type Protocol = 'tcp' | 'udp';

/**
 * The two sides of a forward: `host` is where clients connect, `container` is where the server
 * listens.
 */
export type Side = 'host' | 'container';

/** A numeric IP address and a port. */
export interface Endpoint {
  /** IPv4 or IPv6 in text form, without brackets. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
}

/**
 * Whose address the server sees. `container`: one of the container's own, usually its loopback.
 * `transparent`: the client's. `proxy-v1`, `proxy-v2`: as `container`, with the client's in a PROXY
 * protocol header before the data.
 * @see docs/source-address.md
 */
export type SourceAddress = 'container' | 'transparent' | 'proxy-v1' | 'proxy-v2';

/**
 * A network namespace: a path such as `/proc/123/ns/net` or `/run/netns/web`, or the pid of a
 * process in it. `own` is the one that this process started in, which takes no privilege to use.
 * @see network_namespaces(7)
 */
export type NetnsReference = { readonly path: string } | { readonly pid: number } | 'own';
