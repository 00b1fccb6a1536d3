import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../src/control/context.js';
import { Metrics } from '../../src/control/prometheus.js';
import { CONNECT_LATENCY_BUCKETS_MICROS, type Forward, type Stats } from '../../src/index.js';
import { counters } from '../../src/spec/counters.js';

/** Every counter has a figure of its own, so that none can stand for another. */
function distinctStats(first: number): Stats {
  const figures = Object.entries(counters)
    .filter(([, row]) => !('type' in row))
    .map(([name], index) => [name, first + index] as const);
  const { connectFailures, ...rest } = Object.fromEntries(figures) as unknown as Stats;
  return {
    ...rest,
    // Those that timed out are among them.
    connectFailures: 100 + connectFailures,
    connectLatency: [...CONNECT_LATENCY_BUCKETS_MICROS, 0].map((_, index) => (index % 3) + 1),
    connectMicrosTotal: 2_500_000,
  };
}

const forwards: Forward[] = [
  {
    id: 3,
    protocol: 'tcp',
    host: { address: '::', port: 8080, dualStack: true },
    container: { address: '127.0.0.1', port: 80 },
    netnsPath: '/proc/1/ns/net',
    sourceAddress: 'container',
  },
  {
    id: 4,
    protocol: 'udp',
    host: { address: '127.0.0.1', port: 53, dualStack: false },
    container: { address: '127.0.0.1', port: 53 },
    netnsPath: '/proc/1/ns/net',
    sourceAddress: 'container',
  },
];
const tcp = distinctStats(1_000);
const udp = distinctStats(2_000);

/** What every sample has. */
const common = 'forwarder="42",container="c0ffee"';

/** Each sample's figure by its name and its own labels. */
let lines: Map<string, number>;
let text: string;

beforeEach(async () => {
  const forwarder = {
    list: () => forwards,
    stats: (id: number) => (id === 3 ? tcp : udp),
  };
  const context = { forwarder, version: '1.2.3', name: '42', container: { id: 'c0ffee' } };
  const { type, content } = await new Metrics(context as unknown as Context).read();
  expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
  text = content;
  lines = new Map(
    [...content.matchAll(/^([a-z]\S*(?:\{.*\})?) (\S+)$/gm)].map(([, name = '', value]) => [
      name.replace(new RegExp(`,?${common}}`), '}').replace('{}', ''),
      Number(value),
    ]),
  );
});
afterEach(() => lines.clear());

const ofTcp = 'forward="3",protocol="tcp",host="[::]:8080"';
const ofUdp = 'forward="4",protocol="udp",host="127.0.0.1:53"';

describe('the metrics', () => {
  test.each<[name: string, value: number]>([
    ['spliceport_build_info{version="1.2.3"}', 1],
    ['spliceport_forwards', 2],
    [`spliceport_sessions_open{${ofTcp}}`, tcp.sessionsOpen],
    [`spliceport_sessions_total{${ofTcp}}`, tcp.sessionsTotal],
    [`spliceport_sessions_failed_total{${ofTcp},reason="timeout"}`, tcp.connectTimeouts],
    [
      `spliceport_sessions_failed_total{${ofTcp},reason="unreachable"}`,
      tcp.connectFailures - tcp.connectTimeouts,
    ],
    [`spliceport_sessions_reset_total{${ofTcp}}`, tcp.sessionsReset],
    [`spliceport_local_failures_total{${ofTcp}}`, tcp.localFailures],
    [`spliceport_sessions_moved_total{${ofTcp}}`, tcp.sessionsMoved],
    [`spliceport_connect_retries_total{${ofTcp}}`, tcp.connectRetries],
    [`spliceport_accept_pauses_total{${ofTcp}}`, tcp.acceptPauses],
    [`spliceport_pipe_fallbacks_total{${ofTcp}}`, tcp.pipeFallbacks],
    [`spliceport_server_waits_total{${ofTcp}}`, tcp.serverWaits],
    [`spliceport_sessions_refused_total{${ofTcp},reason="denied"}`, tcp.sessionsDenied],
    [`spliceport_sessions_refused_total{${ofTcp},reason="limit"}`, tcp.sessionsOverLimit],
    [`spliceport_sessions_refused_total{${ofTcp},reason="rate"}`, tcp.sessionsOverRate],
    [
      `spliceport_sessions_refused_total{${ofTcp},reason="client_limit"}`,
      tcp.sessionsOverClientLimit,
    ],
    [`spliceport_datagrams_refused_total{${ofUdp},reason="denied"}`, udp.sessionsDenied],
    [`spliceport_datagrams_refused_total{${ofUdp},reason="limit"}`, udp.sessionsOverLimit],
    [`spliceport_datagrams_refused_total{${ofUdp},reason="rate"}`, udp.sessionsOverRate],
    [
      `spliceport_datagrams_refused_total{${ofUdp},reason="client_limit"}`,
      udp.sessionsOverClientLimit,
    ],
    [`spliceport_proxy_refused_total{${ofTcp},reason="untrusted"}`, tcp.proxySourcesUntrusted],
    [`spliceport_proxy_refused_total{${ofTcp},reason="malformed"}`, tcp.proxyHeadersMalformed],
    [`spliceport_proxy_refused_total{${ofTcp},reason="late"}`, tcp.proxyHeadersLate],
    [`spliceport_proxy_refused_total{${ofUdp},reason="untrusted"}`, udp.proxySourcesUntrusted],
    [`spliceport_proxy_refused_total{${ofUdp},reason="malformed"}`, udp.proxyHeadersMalformed],
    [`spliceport_proxy_refused_total{${ofUdp},reason="late"}`, udp.proxyHeadersLate],
    [`spliceport_source_address_fallbacks_total{${ofTcp}}`, tcp.sourceAddressFallbacks],
    [`spliceport_source_address_fallbacks_total{${ofUdp}}`, udp.sourceAddressFallbacks],
    [`spliceport_session_log_dropped_total{${ofTcp}}`, tcp.sessionLogDropped],
    [`spliceport_session_log_dropped_total{${ofUdp}}`, udp.sessionLogDropped],
    [`spliceport_bytes_total{${ofTcp},direction="to_container"}`, tcp.bytesToContainer],
    [`spliceport_bytes_total{${ofTcp},direction="to_host"}`, tcp.bytesToHost],
    [`spliceport_flows_open{${ofUdp}}`, udp.sessionsOpen],
    [`spliceport_flows_total{${ofUdp}}`, udp.sessionsTotal],
    [`spliceport_flows_failed_total{${ofUdp},reason="timeout"}`, udp.connectTimeouts],
    [
      `spliceport_flows_failed_total{${ofUdp},reason="unreachable"}`,
      udp.connectFailures - udp.connectTimeouts,
    ],
    [`spliceport_flows_evicted_total{${ofUdp}}`, udp.flowsEvicted],
    [`spliceport_flows_displaced_total{${ofUdp}}`, udp.flowsDisplaced],
    [`spliceport_datagrams_total{${ofUdp},direction="to_container"}`, udp.datagramsToContainer],
    [`spliceport_datagrams_total{${ofUdp},direction="to_host"}`, udp.datagramsToHost],
    [`spliceport_datagrams_dropped_total{${ofUdp},reason="not_taken"}`, udp.datagramsDropped],
    [
      `spliceport_datagrams_dropped_total{${ofUdp},reason="lost_in_kernel"}`,
      udp.datagramsLostInKernel,
    ],
    [`spliceport_bytes_total{${ofUdp},direction="to_container"}`, udp.bytesToContainer],
    [`spliceport_bytes_total{${ofUdp},direction="to_host"}`, udp.bytesToHost],
  ])('include %s', (name, value) => {
    expect(lines.get(name)).toBe(value);
  });

  test('include a histogram of connects whose buckets add up', () => {
    const name = 'spliceport_connect_duration_seconds';
    let count = 0;
    const bounds = [
      ...CONNECT_LATENCY_BUCKETS_MICROS.map((micros) => String(micros / 1e6)),
      '+Inf',
    ];
    for (const [index, bound] of bounds.entries()) {
      count += tcp.connectLatency[index] ?? 0;
      expect(lines.get(`${name}_bucket{${ofTcp},le="${bound}"}`), bound).toBe(count);
    }
    expect(lines.get(`${name}_count{${ofTcp}}`)).toBe(count);
    expect(lines.get(`${name}_sum{${ofTcp}}`)).toBe(2.5);
  });

  test('each name their forwarder and container', () => {
    const samples = text.split('\n').filter((line) => /^[a-z]/.test(line));
    expect(samples).toHaveLength(lines.size);
    for (const sample of samples) expect(sample).toContain(common);
  });

  test('name no container if it is unknown', async () => {
    const context = { forwarder: { list: () => [] }, version: '1.2.3', name: '42' };
    const { content } = await new Metrics(context as unknown as Context).read();
    expect(content).toContain('spliceport_forwards{forwarder="42"} 0');
  });

  test('are the same for two scrapes at once', async () => {
    const forwarder = { list: () => forwards, stats: (id: number) => (id === 3 ? tcp : udp) };
    const context = { forwarder, version: '1.2.3', name: '42', container: { id: 'c0ffee' } };
    const metrics = new Metrics(context as unknown as Context);
    const [one, other] = await Promise.all([metrics.read(), metrics.read()]);
    expect(one.content).toBe(text);
    expect(other.content).toBe(text);
    expect((await metrics.read()).content).toBe(text);
  });

  test('each have a help and a type, with all samples below them', () => {
    const families = [...text.matchAll(/^# TYPE (\S+) (?:counter|gauge|histogram)$/gm)].map(
      ([, family = '']) => family,
    );
    expect(new Set(families).size).toBe(families.length);
    for (const family of families) {
      expect(text).toMatch(new RegExp(`^# HELP ${family} [A-Z].*\\.$`, 'm'));
    }
    for (const name of lines.keys()) {
      const base = name.replace(/\{.*/, '').replace(/(_seconds)_(bucket|sum|count)$/, '$1');
      expect(families).toContain(base);
    }
    expect(text).not.toMatch(/sessions_\w+\{forward="4"|flows_\w+\{forward="3"/);
  });
});
