// counters.ts: what each counter of a forward is, and which metrics are made of them. The type of
// counters, the metrics, the description of the control API and the tables of the pages follow from
// it. Data alone, without an import.

interface CounterRow {
  /** What it counts, in plain sentences; names of code are in backticks. */
  readonly text: string;
  /**
   * Default: a number. `errno`: the name of one, absent where there was none. `buckets`: a number
   * for each bucket.
   */
  readonly type?: 'errno' | 'buckets';
  /** Where docs/ has more. */
  readonly see?: string;
}

/** Counters of a forward, or of a forwarder since its start. */
export const counters = {
  sessionsOpen: { text: 'TCP sessions and UDP flows that are open now.' },
  sessionsTotal: { text: 'All TCP sessions and UDP flows so far.' },
  connectFailures: {
    text: 'Sessions whose target could not be reached; their clients were reset.',
  },
  connectTimeouts: { text: 'Of these, the ones that ran into `connectTimeoutMs`.' },
  connectError: {
    type: 'errno',
    text: 'Not a count: why the latest of the others failed, such as `ECONNREFUSED`. Absent when there was none.',
  },
  connectRetries: { text: 'Further attempts to connect after the target refused.' },
  serverWaits: {
    text: 'Sessions whose client waited for a server that refused or could not be reached, because of `waitForServerMs`.',
    see: 'api.md#servers-that-start',
  },
  sessionsReset: {
    text: 'Sessions that ended by a reset of either side, or whose address the container has lost.',
  },
  localFailures: {
    text: 'Sessions and flows that ended because a system call failed on this machine (memory, a security rule). With TCP, both ends were reset.',
  },
  sessionsMoved: {
    text: 'How often a session moved to another worker, to spread bulk transfers and lasting sessions over the CPUs.',
    see: 'architecture.md#which-worker',
  },
  bytesToContainer: { text: 'Bytes relayed to servers.' },
  bytesToHost: { text: 'Bytes relayed to clients.' },
  datagramsToContainer: { text: 'Datagrams relayed to servers.' },
  datagramsToHost: { text: 'Datagrams relayed to clients.' },
  datagramsDropped: {
    text: 'Datagrams that the next socket did not accept, and replies to a client without an address or a port.',
  },
  datagramsLostInKernel: {
    text: 'Datagrams that the kernel dropped before they could be read (SO_RXQ_OVFL).',
  },
  flowsEvicted: { text: 'UDP flows that ended early to stay within `maxFlows`.' },
  flowsDisplaced: {
    text: 'UDP flows that ended early for newer ones, because the process had no descriptors left.',
    see: 'api.md#descriptors',
  },
  acceptPauses: {
    text: 'How often a listener paused because descriptors or memory ran out, or because accept(2) or recvmmsg(2) kept failing.',
  },
  pipeFallbacks: {
    text: 'How often bulk data was copied because no useful pipe was available or splice(2) failed.',
  },
  sessionsDenied: {
    text: 'Connections and datagrams rejected because of `allow` and `deny`.',
    see: 'api.md#whom-a-forward-lets-in',
  },
  sessionsOverLimit: { text: 'Connections and datagrams rejected because of `maxSessions`.' },
  sessionsOverRate: {
    text: 'Connections and datagrams rejected because of `maxSessionsPerSecond`.',
  },
  sessionsOverClientLimit: {
    text: 'Connections and datagrams rejected because of `maxSessionsPerClient`.',
  },
  sourceAddressFallbacks: {
    text: "Sessions and flows of `transparent` forwards whose servers saw the container's own address.",
    see: 'source-address.md#the-ordinary-way',
  },
  sessionLogDropped: {
    text: 'Ends of sessions and flows that were not passed to `onSessionsEnded`, because it was too slow.',
    see: 'api.md#onsessionsended',
  },
  proxySourcesUntrusted: {
    text: 'Connections and datagrams rejected because they came from others than `trustedProxies`.',
  },
  proxyHeadersMalformed: {
    text: 'Connections and datagrams rejected because they did not begin with a valid PROXY header.',
  },
  proxyHeadersLate: {
    text: 'Connections rejected because their header took longer than `proxyHeaderTimeoutMs`.',
  },
  connectLatency: {
    type: 'buckets',
    text: 'Connects by the time they took: counts per bucket of `CONNECT_LATENCY_BUCKETS_MICROS`, then the rest.',
  },
  connectMicrosTotal: { text: 'The sum of those times, in microseconds.' },
} as const satisfies Readonly<Record<string, CounterRow>>;

/** A counter that is a number. */
export type Count = {
  [K in keyof typeof counters]: (typeof counters)[K] extends { readonly type: string } ? never : K;
}[keyof typeof counters];

/** One figure of a metric: a counter, without those that another counts already. */
export interface Figure {
  /** What tells it from the others of its metric. */
  readonly label?: readonly [name: string, value: string];
  readonly counter: Count;
  readonly without?: Count;
}

/** A metric of a forward. */
export interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** The forwards that have it. Default: all. */
  readonly protocol?: 'tcp' | 'udp';
  readonly unit: string;
  readonly help: string;
  /** What the pages say besides. */
  readonly more?: string;
  readonly see?: string;
  /** None: a histogram, of `connectLatency`. */
  readonly figures: readonly Figure[];
}

const connectFailures: readonly Figure[] = [
  { label: ['reason', 'timeout'], counter: 'connectTimeouts' },
  { label: ['reason', 'unreachable'], counter: 'connectFailures', without: 'connectTimeouts' },
];

const rejections: readonly Figure[] = [
  { label: ['reason', 'denied'], counter: 'sessionsDenied' },
  { label: ['reason', 'limit'], counter: 'sessionsOverLimit' },
  { label: ['reason', 'rate'], counter: 'sessionsOverRate' },
  { label: ['reason', 'client_limit'], counter: 'sessionsOverClientLimit' },
];

/** Directions are named by where they go. */
function directions(toContainer: Count, toHost: Count): Figure[] {
  return [
    { label: ['direction', 'to_container'], counter: toContainer },
    { label: ['direction', 'to_host'], counter: toHost },
  ];
}

/** A metric of a whole forwarder: a gauge. */
export interface ForwarderMetric {
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
}

export const forwarderMetrics = {
  buildInfo: {
    name: 'spliceport_build_info',
    help: 'Always 1; the version is a label.',
    unit: '',
    labels: ['version'],
  },
  forwards: {
    name: 'spliceport_forwards',
    help: 'Forwards that accept clients.',
    unit: 'forwards',
    labels: [],
  },
} satisfies Readonly<Record<string, ForwarderMetric>>;

export const metrics: readonly Metric[] = [
  {
    name: 'spliceport_sessions_open',
    kind: 'gauge',
    protocol: 'tcp',
    unit: 'sessions',
    help: 'Open TCP sessions.',
    figures: [{ counter: 'sessionsOpen' }],
  },
  {
    name: 'spliceport_sessions_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'sessions',
    help: 'TCP sessions since the forward was added.',
    figures: [{ counter: 'sessionsTotal' }],
  },
  {
    name: 'spliceport_sessions_failed_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'sessions',
    help: 'TCP sessions whose target could not be reached; their clients were reset.',
    more: '`timeout`: it did not answer within `connectTimeoutMs`; `unreachable`: it refused, or there is no route.',
    figures: connectFailures,
  },
  {
    name: 'spliceport_sessions_reset_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'sessions',
    help: 'TCP sessions that were reset by either side, or whose address the container has lost.',
    figures: [{ counter: 'sessionsReset' }],
  },
  {
    name: 'spliceport_local_failures_total',
    kind: 'counter',
    unit: 'sessions, flows',
    help: 'Sessions and flows that ended because a system call failed on this machine; with TCP, both ends were reset.',
    figures: [{ counter: 'localFailures' }],
  },
  {
    name: 'spliceport_sessions_refused_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'connections',
    help: 'TCP connections that the forward rejected; they were reset.',
    more: '`denied`: by `allow` and `deny`; `limit`: by `maxSessions`; `rate`: by `maxSessionsPerSecond`; `client_limit`: by `maxSessionsPerClient`.',
    see: 'api.md#whom-a-forward-lets-in',
    figures: rejections,
  },
  {
    name: 'spliceport_connect_duration_seconds',
    kind: 'histogram',
    protocol: 'tcp',
    unit: 'seconds',
    help: 'Time that connects to the target took.',
    more: "From a client's connection to the connection with the target, failed attempts included; 50 µs to 1 s in 13 buckets.",
    figures: [],
  },
  {
    name: 'spliceport_sessions_moved_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'moves',
    help: 'How often a session moved to another worker.',
    figures: [{ counter: 'sessionsMoved' }],
  },
  {
    name: 'spliceport_connect_retries_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'attempts',
    help: 'Further attempts to connect after the target refused.',
    figures: [{ counter: 'connectRetries' }],
  },
  {
    name: 'spliceport_server_waits_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'sessions',
    help: 'TCP sessions whose client waited for a server that refused or could not be reached.',
    see: 'api.md#servers-that-start',
    figures: [{ counter: 'serverWaits' }],
  },
  {
    name: 'spliceport_accept_pauses_total',
    kind: 'counter',
    unit: 'pauses',
    help: 'How often a listener paused because descriptors or memory ran out, or because accept(2) or recvmmsg(2) kept failing.',
    more: 'Clients wait in the meantime.',
    figures: [{ counter: 'acceptPauses' }],
  },
  {
    name: 'spliceport_pipe_fallbacks_total',
    kind: 'counter',
    protocol: 'tcp',
    unit: 'times',
    help: 'How often bulk data was copied because no useful pipe was available or splice(2) failed.',
    figures: [{ counter: 'pipeFallbacks' }],
  },
  {
    name: 'spliceport_proxy_refused_total',
    kind: 'counter',
    unit: 'connections, datagrams',
    help: 'Connections and datagrams rejected for lack of a valid PROXY header from a trusted load balancer.',
    see: 'source-address.md#behind-a-load-balancer',
    figures: [
      { label: ['reason', 'untrusted'], counter: 'proxySourcesUntrusted' },
      { label: ['reason', 'malformed'], counter: 'proxyHeadersMalformed' },
      { label: ['reason', 'late'], counter: 'proxyHeadersLate' },
    ],
  },
  {
    name: 'spliceport_source_address_fallbacks_total',
    kind: 'counter',
    unit: 'sessions, flows',
    help: "Sessions and flows of transparent forwards whose servers saw the container's own address.",
    see: 'source-address.md#the-ordinary-way',
    figures: [{ counter: 'sourceAddressFallbacks' }],
  },
  {
    name: 'spliceport_session_log_dropped_total',
    kind: 'counter',
    unit: 'sessions, flows',
    help: 'Sessions and flows whose end is missing in the session log, because its reader was too slow.',
    see: 'api.md#onsessionsended',
    figures: [{ counter: 'sessionLogDropped' }],
  },
  {
    name: 'spliceport_flows_open',
    kind: 'gauge',
    protocol: 'udp',
    unit: 'flows',
    help: 'Open UDP flows.',
    figures: [{ counter: 'sessionsOpen' }],
  },
  {
    name: 'spliceport_flows_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'flows',
    help: 'UDP flows since the forward was added.',
    figures: [{ counter: 'sessionsTotal' }],
  },
  {
    name: 'spliceport_flows_failed_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'flows',
    help: 'UDP flows whose target could not be reached.',
    figures: connectFailures,
  },
  {
    name: 'spliceport_flows_evicted_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'flows',
    help: 'UDP flows ended early to stay within the limit on flows.',
    figures: [{ counter: 'flowsEvicted' }],
  },
  {
    name: 'spliceport_flows_displaced_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'flows',
    help: 'UDP flows ended early for newer ones, because the process had no descriptors left.',
    see: 'api.md#descriptors',
    figures: [{ counter: 'flowsDisplaced' }],
  },
  {
    name: 'spliceport_datagrams_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'datagrams',
    help: 'Datagrams relayed.',
    figures: directions('datagramsToContainer', 'datagramsToHost'),
  },
  {
    name: 'spliceport_datagrams_dropped_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'datagrams',
    help: 'Datagrams that were not relayed.',
    more: '`not_taken`: the next socket did not accept it, or it was a reply to a client without an address or a port; `lost_in_kernel`: the kernel dropped it before it could be read.',
    figures: [
      { label: ['reason', 'not_taken'], counter: 'datagramsDropped' },
      { label: ['reason', 'lost_in_kernel'], counter: 'datagramsLostInKernel' },
    ],
  },
  {
    name: 'spliceport_datagrams_refused_total',
    kind: 'counter',
    protocol: 'udp',
    unit: 'datagrams',
    help: 'Datagrams that would have started a flow that the forward rejected.',
    see: 'api.md#whom-a-forward-lets-in',
    figures: rejections,
  },
  {
    name: 'spliceport_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    help: 'Bytes relayed.',
    figures: directions('bytesToContainer', 'bytesToHost'),
  },
];
