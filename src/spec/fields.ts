// fields.ts: what each setting of a forward and of an engine is. Checks, schemas, defaults, the
// fields that are known, what is said to a shim, the structs in C++ and the tables of the pages are
// all made from it. Data alone, without an
// import, so that it costs next to nothing to load.

const DAY_MS = 86_400_000;
/** The kernel's limit, in whole seconds. */
const MAX_KEEPALIVE_MS = 32_767_000;

/** What is said of a setting of any type. */
interface Described {
  /** What it is, in plain sentences; names of code are in backticks. */
  readonly text: string;
  /** The default in words, where the value does not say it or there is none. */
  readonly defaultText?: string;
  /** Where docs/ has more. */
  readonly see?: string;
  /**
   * Whether it limits which clients come in. A forward is never opened without such a setting that
   * it should have.
   */
  readonly isGate?: true;
}

/** An integer. Without a default it is a limit, and no limit is 0. */
export interface IntegerField extends Described {
  readonly type: 'integer';
  readonly min: number;
  readonly max: number;
  readonly default?: number;
  readonly unit?: 's' | 'ms' | 'µs' | 'bytes';
  /** It has 64 bits in C++ and in messages to a shim. */
  readonly isWide?: true;
}

/** An integer, or a word in its place. */
export interface IntegerOrWordField extends Omit<IntegerField, 'type'> {
  readonly type: 'integer or word';
  readonly word: string;
}

export interface FlagField extends Described {
  readonly type: 'flag';
  readonly default: boolean;
}

/** One of some words. */
export interface ChoiceField extends Described {
  readonly type: 'choice';
  readonly values: readonly string[];
  readonly default?: string;
}

/** A list of IP addresses, or blocks of them; empty by default. */
export interface BlocksField extends Described {
  readonly type: 'blocks';
  readonly min: number;
  readonly max: number;
  readonly default?: undefined;
}

/** A text of a form of its own. No option of the library is one, but settings files have some. */
export interface TextField extends Described {
  readonly type: 'text';
  readonly pattern: RegExp;
  /** What it matches, in words. */
  readonly expected: string;
  readonly default?: string;
}

/** An option of the library. */
export type Field = IntegerField | FlagField | ChoiceField | BlocksField;
export type AnyField = Field | TextField | IntegerOrWordField;
export type Fields = Readonly<Record<string, Field>>;
export type AnyFields = Readonly<Record<string, AnyField>>;

/** What a field is given. */
export type ValueOf<F> = F extends { readonly type: 'integer' }
  ? number
  : F extends { readonly type: 'flag' }
    ? boolean
    : F extends { readonly type: 'choice'; readonly values: readonly (infer V)[] }
      ? V
      : F extends { readonly type: 'blocks' }
        ? readonly string[]
        : F extends { readonly type: 'integer or word'; readonly word: infer W }
          ? number | W
          : string;
export type ValuesOf<T> = { readonly [K in keyof T]: ValueOf<T[K]> };

/** Any of the fields. */
export type SomeOf<T> = { readonly [K in keyof T]?: ValueOf<T[K]> };

/** Settings of an engine: options of a forwarder. */
export const engineFields = {
  workers: {
    type: 'integer',
    min: 1,
    max: 64,
    default: 2,
    defaultText: '2, or 1 with one processor',
    text: 'Threads that relay.',
    see: 'architecture.md#which-worker',
  },
  spinMicros: {
    type: 'integer',
    min: 0,
    max: 1_000,
    default: 0,
    unit: 'µs',
    isWide: true,
    text: 'How long a worker polls before it sleeps. This shortens the round trip of a single chatty connection and costs CPU time.',
    see: 'architecture.md#polling',
  },
  pipeCapacityBytes: {
    type: 'integer',
    min: 4_096,
    max: 16_777_216,
    default: 1_048_576,
    unit: 'bytes',
    isWide: true,
    text: 'Capacity requested for each pipe for bulk data. If the kernel refuses, data is copied.',
  },
  nearRttMicros: {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: 500,
    unit: 'µs',
    text: 'Round trip up to which a client counts as near: bulk to it goes through a small send buffer, which stays in the processor cache. 0 leaves all buffers to the kernel.',
    see: 'architecture.md#socket-buffers',
  },
} as const satisfies Fields;

/** Settings of a forward. */
export const forwardFields = {
  connectTimeoutMs: {
    type: 'integer',
    min: 1,
    max: DAY_MS,
    default: 10_000,
    unit: 'ms',
    text: 'How long a connection to the container may take before the client is reset.',
  },
  waitForServerMs: {
    type: 'integer',
    min: 0,
    max: DAY_MS,
    default: 0,
    unit: 'ms',
    text: 'How long a TCP client waits for a server that refuses or cannot be reached, as while a container starts. 0: for a quarter of a second.',
    see: 'api.md#servers-that-start',
  },
  // The times are those of Podman's own helper, which has Go's: who vanished is noticed after 15 +
  // 9 * 15 s.
  keepaliveIdleMs: {
    type: 'integer',
    min: 0,
    max: MAX_KEEPALIVE_MS,
    default: 15_000,
    unit: 'ms',
    text: 'How long the other end of a TCP session, on either side, may be silent before it is probed (TCP_KEEPIDLE). Rounded up to whole seconds; 0 turns probes off.',
  },
  keepaliveIntervalMs: {
    type: 'integer',
    min: 1,
    max: MAX_KEEPALIVE_MS,
    default: 15_000,
    unit: 'ms',
    text: 'Time from one probe to the next while there is no answer (TCP_KEEPINTVL). Rounded up to whole seconds.',
  },
  keepaliveProbes: {
    type: 'integer',
    min: 1,
    max: 127,
    default: 9,
    text: 'Number of probes without an answer after which the session is reset (TCP_KEEPCNT).',
  },
  udpTimeoutMs: {
    type: 'integer',
    min: 1,
    max: DAY_MS,
    default: 90_000,
    unit: 'ms',
    text: 'How long a UDP flow is kept without a datagram in either direction.',
  },
  udpSegmentation: {
    type: 'flag',
    default: true,
    text: 'Whether runs of UDP datagrams pass the kernel as one (UDP_SEGMENT, UDP_GRO), which is faster. With `false`, a packet capture shows each by itself.',
  },
  maxSessions: {
    type: 'integer',
    min: 1,
    max: 1_048_576,
    defaultText: 'any number',
    isGate: true,
    text: 'Limit on open TCP sessions or UDP flows of a forward; further clients are rejected.',
    see: 'api.md#whom-a-forward-lets-in',
  },
  maxSessionsPerSecond: {
    type: 'integer',
    min: 1,
    max: 100_000,
    defaultText: 'any number',
    isGate: true,
    text: "Limit on new TCP sessions or UDP flows of a forward per second. After a pause, one second's worth may come at once.",
    see: 'api.md#whom-a-forward-lets-in',
  },
  maxSessionsPerClient: {
    type: 'integer',
    min: 1,
    max: 1_048_576,
    defaultText: 'any number',
    isGate: true,
    text: 'Limit on open TCP sessions or UDP flows of one client: an IPv4 address, or an IPv6 network of 64 bits. Its further ones are rejected. Behind a load balancer, the client is the one that the PROXY header names.',
    see: 'api.md#whom-a-forward-lets-in',
  },
  allow: {
    type: 'blocks',
    min: 1,
    max: 100_000,
    defaultText: 'anyone',
    isGate: true,
    text: 'The only clients that are accepted: addresses, or blocks such as `10.0.0.0/8`.',
    see: 'api.md#whom-a-forward-lets-in',
  },
  deny: {
    type: 'blocks',
    min: 0,
    max: 100_000,
    defaultText: 'no one',
    isGate: true,
    text: 'Clients that are rejected, even if they are allowed: addresses, or blocks such as `10.0.0.0/8`.',
    see: 'api.md#whom-a-forward-lets-in',
  },
  maxFlows: {
    type: 'integer',
    min: 1,
    max: 1_048_576,
    default: 16_384,
    isGate: true,
    text: 'Limit on open UDP flows of a forward; a further one evicts the oldest.',
    see: 'api.md#whom-a-forward-lets-in',
  },
  sourceAddress: {
    type: 'choice',
    values: ['container', 'transparent', 'proxy-v1', 'proxy-v2'],
    default: 'container',
    text: "Whose address the server sees: the container's own, the client's, or the client's in a PROXY header. UDP has no `proxy-v1`.",
    see: 'source-address.md',
  },
  acceptProxy: {
    type: 'flag',
    default: false,
    isGate: true,
    text: 'Whether load balancers in front name the clients by PROXY headers. Requires `trustedProxies`.',
    see: 'source-address.md#behind-a-load-balancer',
  },
  trustedProxies: {
    type: 'blocks',
    min: 1,
    max: 1_024,
    defaultText: 'none',
    isGate: true,
    text: 'The load balancers whose headers are trusted: addresses, or blocks such as `10.0.0.0/8`.',
    see: 'source-address.md#behind-a-load-balancer',
  },
  proxyHeaderTimeoutMs: {
    type: 'integer',
    min: 1,
    max: DAY_MS,
    default: 3_000,
    unit: 'ms',
    text: 'How long a load balancer may take to send its header before it is reset.',
  },
} as const satisfies Fields;

/**
 * The settings in the order of messages to a shim. The lists of what was there first never change.
 * A new setting goes to the end of those that were added, and shims that do not know it pass it
 * over. `sourceAddress` is elsewhere in its message, and `acceptProxy` is whether there are
 * `trustedProxies`.
 */
export const shimOrder = {
  engine: ['workers', 'spinMicros', 'pipeCapacityBytes', 'nearRttMicros'],
  engineAdded: [],
  forward: [
    'udpSegmentation',
    'connectTimeoutMs',
    'udpTimeoutMs',
    'keepaliveIdleMs',
    'keepaliveIntervalMs',
    'keepaliveProbes',
    'maxFlows',
    'maxSessions',
    'maxSessionsPerSecond',
    'proxyHeaderTimeoutMs',
    'allow',
    'deny',
    'trustedProxies',
  ],
  forwardAdded: ['maxSessionsPerClient', 'waitForServerMs'],
} as const satisfies Readonly<
  Record<'engine' | 'engineAdded', readonly (keyof typeof engineFields)[]> &
    Record<'forward' | 'forwardAdded', readonly (keyof typeof forwardFields)[]>
>;
