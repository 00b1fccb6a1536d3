import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { ForwardSpec, TargetChange } from '../../src/types/forward-spec.js';
import type { ForwarderOptions } from '../../src/types/options.js';
import {
  resolveChange,
  resolveDrainMs,
  resolveForwards,
  resolveIds,
  resolveOptions,
  resolveSingle,
} from '../../src/spec/validate.js';

const netns = '/run/netns/web';
const type = 'ERR_SPLICEPORT_INVALID_ARG_TYPE';
const range = 'ERR_SPLICEPORT_OUT_OF_RANGE';
const minimal: ForwardSpec = { host: { port: 8080 }, container: { port: 80 } };

function refusal(call: () => unknown): { code: unknown; message: string } {
  try {
    call();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { code, message };
  }
  throw new Error('it was not refused');
}

describe('options of a forwarder', () => {
  test('get defaults', () => {
    expect(resolveOptions({})).toEqual({
      netnsPath: undefined,
      signal: undefined,
      onSessionsEnded: undefined,
      engine: undefined,
      engineOptions: {
        workers: Math.min(2, availableParallelism()),
        spinMicros: 0,
        pipeCapacityBytes: 1024 * 1024,
        nearRttMicros: 500,
      },
    });
  });

  test('are accepted as given', () => {
    const { signal } = new AbortController();
    const engine = {
      workers: 64,
      spinMicros: 1_000,
      pipeCapacityBytes: 16 * 1024 * 1024,
      nearRttMicros: 0,
    };
    const onSessionsEnded = () => undefined;
    expect(resolveOptions({ ...engine, signal, onSessionsEnded, netns: { pid: 1 } })).toEqual({
      netnsPath: '/proc/1/ns/net',
      signal,
      onSessionsEnded,
      engine: undefined,
      engineOptions: engine,
    });
  });

  const bad: readonly (readonly [unknown, string, string])[] = [
    [null, type, 'options'],
    ['netns', type, 'options'],
    [{ workers: '2' }, type, 'options.workers'],
    [{ workers: 0 }, range, 'options.workers'],
    [{ workers: 65 }, range, 'options.workers'],
    [{ workers: 1.5 }, range, 'options.workers'],
    [{ workers: NaN }, range, 'options.workers'],
    [{ spinMicros: -1 }, range, 'options.spinMicros'],
    [{ spinMicros: 1_001 }, range, 'options.spinMicros'],
    [{ pipeCapacityBytes: 4_095 }, range, 'options.pipeCapacityBytes'],
    [{ pipeCapacityBytes: Infinity }, range, 'options.pipeCapacityBytes'],
    [{ nearRttMicros: -1 }, range, 'options.nearRttMicros'],
    [{ nearRttMicros: 1_000_001 }, range, 'options.nearRttMicros'],
    [{ signal: {} }, type, 'options.signal'],
    [{ onSessionsEnded: true }, type, 'options.onSessionsEnded'],
    [{ netns: '/run/netns/web' }, type, 'options.netns'],
    [{ netns: {} }, type, 'options.netns'],
    [{ netns: { path: '/run/netns/web', pid: 1 } }, type, 'options.netns'],
    [{ netns: { path: 1 } }, type, 'options.netns.path'],
    [{ netns: { path: '' } }, range, 'options.netns.path'],
    [{ netns: { path: '/run/\0' } }, range, 'options.netns.path'],
    [{ netns: { pid: 0 } }, range, 'options.netns.pid'],
    [{ netns: { pid: '1' } }, type, 'options.netns.pid'],
  ];
  test.each(bad)('rejects %o with %s, naming %s', (options, code, name) => {
    const { code: actual, message } = refusal(() => resolveOptions(options as ForwarderOptions));
    expect(actual).toBe(code);
    expect(message).toContain(` for ${name} but received `);
  });
});

describe('a forward', () => {
  test('gets defaults', () => {
    const { settings, ...place } = resolveSingle(minimal, netns);
    expect(place).toEqual({
      host: { protocol: 'tcp', address: '::', port: 8080, dualStack: true },
      container: { address: '127.0.0.1', port: 80 },
      count: 1,
      netnsPath: netns,
    });
    expect(settings).toMatchObject({
      connectTimeoutMs: 10_000,
      waitForServerMs: 0,
      keepaliveIdleMs: 15_000,
      keepaliveIntervalMs: 15_000,
      keepaliveProbes: 9,
      udpTimeoutMs: 90_000,
      udpSegmentation: true,
      maxFlows: 16_384,
      sourceAddress: 'container',
      acceptProxy: false,
      trustedProxies: [],
      proxyHeaderTimeoutMs: 3_000,
      allow: [],
      deny: [],
      maxSessions: 0,
      maxSessionsPerSecond: 0,
    });
  });

  test('is accepted as given, with canonical addresses', () => {
    const limits = {
      connectTimeoutMs: 1,
      waitForServerMs: 86_400_000,
      keepaliveIdleMs: 0,
      keepaliveIntervalMs: 32_767_000,
      keepaliveProbes: 127,
      udpTimeoutMs: 86_400_000,
      udpSegmentation: false,
      maxFlows: 1,
    };
    const spec: ForwardSpec = {
      protocol: 'udp',
      host: { address: '0:0::1', port: 0 },
      container: { address: '::ffff:10.0.2.100', port: 65_535 },
      netns: { pid: 7 },
      sourceAddress: 'transparent',
      ...limits,
      acceptProxy: true,
      trustedProxies: ['10.0.0.0/8', 'FD00::0'],
      proxyHeaderTimeoutMs: 1,
      allow: ['::ffff:10.0.0.0/104'],
      deny: ['10.1.2.3', '::/0'],
      maxSessions: 1_048_576,
      maxSessionsPerSecond: 100_000,
    };
    const { settings, ...place } = resolveSingle(spec, netns);
    expect(place).toEqual({
      host: { protocol: 'udp', address: '::1', port: 0, dualStack: false },
      container: { address: '10.0.2.100', port: 65_535 },
      count: 1,
      netnsPath: '/proc/7/ns/net',
    });
    expect(settings).toMatchObject({
      ...limits,
      sourceAddress: 'transparent',
      acceptProxy: true,
      trustedProxies: ['10.0.0.0/8', 'fd00::'],
      proxyHeaderTimeoutMs: 1,
      allow: ['10.0.0.0/8'],
      deny: ['10.1.2.3', '::/0'],
      maxSessions: 1_048_576,
      maxSessionsPerSecond: 100_000,
    });
  });

  test('can be text', () => {
    expect(resolveSingle('8080:80', netns)).toEqual(resolveSingle(minimal, netns));
  });

  test.each(['0.0.0.0', '::'])('on %s is of one family', (address) => {
    const { host } = resolveSingle({ ...minimal, host: { address, port: 80 } }, netns);
    expect(host).toMatchObject({ address, dualStack: false });
  });

  test('may be a range, up to the last port', () => {
    const spec = { host: { port: 65_533 }, container: { port: 80 }, count: 3 };
    const ranges = resolveForwards([spec, '0:90-91'], netns);
    expect(ranges.map(({ host, container, count }) => [host.port, container.port, count])).toEqual([
      [65_533, 80, 3],
      [0, 90, 2],
    ]);
  });

  test('is a single one for add', () => {
    expect(refusal(() => resolveSingle('8000-8002:80-82', netns))).toEqual({
      code: range,
      message: 'Expected 1 (addAll takes ranges) for spec.count but received 3 of type number',
    });
  });

  test('needs a namespace', () => {
    expect(refusal(() => resolveSingle(minimal, undefined))).toEqual({
      code: type,
      message:
        'Expected a network namespace for spec.netns, or for netns in the options of the forwarder, but received nothing',
    });
  });

  const bad: readonly (readonly [unknown, string, string])[] = [
    [undefined, type, 'specs[1]'],
    [8080, type, 'specs[1]'],
    [{}, type, 'specs[1].host'],
    [{ host: { port: 1 } }, type, 'specs[1].container'],
    [{ ...minimal, protocol: 'sctp' }, range, 'specs[1].protocol'],
    [{ ...minimal, protocol: 6 }, type, 'specs[1].protocol'],
    [{ ...minimal, host: {} }, type, 'specs[1].host.port'],
    [{ ...minimal, host: { port: '8080' } }, type, 'specs[1].host.port'],
    [{ ...minimal, host: { port: -1 } }, range, 'specs[1].host.port'],
    [{ ...minimal, host: { port: 65_536 } }, range, 'specs[1].host.port'],
    [{ ...minimal, host: { port: 1, address: 'localhost' } }, range, 'specs[1].host.address'],
    [{ ...minimal, host: { port: 1, address: 1 } }, type, 'specs[1].host.address'],
    [{ ...minimal, container: { port: 0 } }, range, 'specs[1].container.port'],
    [{ ...minimal, container: { port: 1, address: '[::1]' } }, range, 'specs[1].container.address'],
    [{ ...minimal, count: 0 }, range, 'specs[1].count'],
    [{ ...minimal, host: { port: 65_535 }, count: 2 }, range, 'specs[1].host.port'],
    [
      { host: { port: 0 }, container: { port: 65_535 }, count: 2 },
      range,
      'specs[1].container.port',
    ],
    [{ ...minimal, netns: 'web' }, type, 'specs[1].netns'],
    [{ ...minimal, connectTimeoutMs: 0 }, range, 'specs[1].connectTimeoutMs'],
    [{ ...minimal, keepaliveIdleMs: -1 }, range, 'specs[1].keepaliveIdleMs'],
    [{ ...minimal, keepaliveIdleMs: 32_767_001 }, range, 'specs[1].keepaliveIdleMs'],
    [{ ...minimal, keepaliveIntervalMs: 0 }, range, 'specs[1].keepaliveIntervalMs'],
    [{ ...minimal, keepaliveProbes: 128 }, range, 'specs[1].keepaliveProbes'],
    [{ ...minimal, udpSegmentation: 1 }, type, 'specs[1].udpSegmentation'],
    [{ ...minimal, udpTimeoutMs: 86_400_001 }, range, 'specs[1].udpTimeoutMs'],
    [{ ...minimal, maxFlows: 1_048_577 }, range, 'specs[1].maxFlows'],
    [{ ...minimal, sourceAddress: 1 }, type, 'specs[1].sourceAddress'],
    [{ ...minimal, sourceAddress: 'client' }, range, 'specs[1].sourceAddress'],
    [{ ...minimal, protocol: 'udp', sourceAddress: 'proxy-v1' }, range, 'specs[1].sourceAddress'],
    [{ ...minimal, maxSessions: '1' }, type, 'specs[1].maxSessions'],
    [{ ...minimal, maxSessions: 0 }, range, 'specs[1].maxSessions'],
    [{ ...minimal, maxSessions: 1.5 }, range, 'specs[1].maxSessions'],
    [{ ...minimal, maxSessions: 1_048_577 }, range, 'specs[1].maxSessions'],
    [{ ...minimal, maxSessionsPerSecond: 0 }, range, 'specs[1].maxSessionsPerSecond'],
    [{ ...minimal, maxSessionsPerSecond: 100_001 }, range, 'specs[1].maxSessionsPerSecond'],
    [{ ...minimal, allow: '10.0.0.0/8' }, type, 'specs[1].allow'],
    [{ ...minimal, allow: [] }, range, 'specs[1].allow'],
    [{ ...minimal, allow: ['10.0.0.0/33'] }, range, 'specs[1].allow[0]'],
    [{ ...minimal, deny: ['::1', 1] }, type, 'specs[1].deny[1]'],
    [{ ...minimal, deny: ['lan'] }, range, 'specs[1].deny[0]'],
    [{ ...minimal, acceptProxy: 'yes' }, type, 'specs[1].acceptProxy'],
    [{ ...minimal, acceptProxy: true }, type, 'specs[1].trustedProxies'],
    [{ ...minimal, acceptProxy: true, trustedProxies: [] }, range, 'specs[1].trustedProxies'],
    [{ ...minimal, trustedProxies: ['::1'] }, range, 'specs[1].trustedProxies'],
    [
      { ...minimal, acceptProxy: true, trustedProxies: ['::1', 'lan'] },
      range,
      'specs[1].trustedProxies[1]',
    ],
    [{ ...minimal, acceptProxy: true, trustedProxies: [1] }, type, 'specs[1].trustedProxies[0]'],
    [{ ...minimal, proxyHeaderTimeoutMs: 0 }, range, 'specs[1].proxyHeaderTimeoutMs'],
  ];
  test.each(bad)('rejects %o with %s, naming %s', (spec, code, name) => {
    const specs = ['8080:80', spec as ForwardSpec];
    const { code: actual, message } = refusal(() => resolveForwards(specs, netns));
    expect(actual).toBe(code);
    expect(message).toContain(` for ${name} but received `);
  });

  test('may be one of an array', () => {
    expect(refusal(() => resolveForwards('8080:80' as never, netns)).code).toBe(type);
  });
});

describe('a change of target', () => {
  test('keeps what it leaves out', () => {
    expect(resolveChange({})).toEqual({});
    expect(resolveChange({ address: '::0001', port: 81, netns: { pid: 7 } })).toEqual({
      address: '::1',
      port: 81,
      netnsPath: '/proc/7/ns/net',
    });
  });

  const bad: readonly (readonly [unknown, string, string])[] = [
    [null, type, 'change'],
    [{ address: 'web' }, range, 'change.address'],
    [{ port: 0 }, range, 'change.port'],
    [{ netns: { pid: -1 } }, range, 'change.netns.pid'],
  ];
  test.each(bad)('rejects %o with %s, naming %s', (change, code, name) => {
    const { code: actual, message } = refusal(() => resolveChange(change as TargetChange));
    expect(actual).toBe(code);
    expect(message).toContain(` for ${name} but received `);
  });
});

describe('ids of forwards', () => {
  test('are one or several, without repetition', () => {
    expect(resolveIds(1)).toEqual([1]);
    expect(resolveIds([2, 1, 2])).toEqual([2, 1]);
    expect(resolveIds([])).toEqual([]);
  });

  const bad: readonly (readonly [unknown, string, string])[] = [
    ['1', type, 'ids'],
    [0, range, 'id'],
    [[1, 1.5], range, 'ids[1]'],
    [[1, '2'], type, 'ids[1]'],
  ];
  test.each(bad)('rejects %o with %s, naming %s', (ids, code, name) => {
    const { code: actual, message } = refusal(() => resolveIds(ids as number));
    expect(actual).toBe(code);
    expect(message).toContain(` for ${name} but received `);
  });
});

test('the drain time is 0 by default, and a day at most', () => {
  expect(resolveDrainMs({})).toBe(0);
  expect(resolveDrainMs({ drainMs: 86_400_000 })).toBe(86_400_000);
  expect(refusal(() => resolveDrainMs({ drainMs: 86_400_001 })).code).toBe(range);
  expect(refusal(() => resolveDrainMs(5 as never)).code).toBe(type);
});

describe('an unknown field', () => {
  test.each<[call: () => unknown, message: string]>([
    [
      () => resolveOptions({ netn: { pid: 1 } } as ForwarderOptions),
      'options has an unknown field: netn; it takes netns, workers, ',
    ],
    [
      () => resolveSingle({ ...minimal, protcol: 'udp' } as ForwardSpec, netns),
      'spec has an unknown field: protcol; it takes protocol, host, ',
    ],
    [
      () =>
        resolveForwards(
          [{ ...minimal, host: { ip: '::1', hostPort: 1, port: 1 } } as never],
          netns,
        ),
      'specs[0].host has unknown fields: ip, hostPort; it takes address, port',
    ],
    [
      () => resolveSingle({ ...minimal, container: { port: 80, name: 'web' } } as never, netns),
      'spec.container has an unknown field: name; it takes address, port',
    ],
    [
      () => resolveSingle({ ...minimal, netns: { pid: 1, name: 'web' } } as never, netns),
      'spec.netns has an unknown field: name; it takes path, pid',
    ],
    [
      () => resolveChange({ adress: '::1' } as TargetChange),
      'change has an unknown field: adress; it takes address, port, netns',
    ],
    [
      () => resolveDrainMs({ drain: 1 } as never),
      'options has an unknown field: drain; it takes drainMs',
    ],
  ])('is rejected by name, with the known ones: %#', (call, message) => {
    const { code, message: actual } = refusal(call);
    expect(code).toBe(type);
    expect(actual.startsWith(message)).toBe(true);
  });
});
