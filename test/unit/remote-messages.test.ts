import { describe, expect, test } from 'vitest';
import {
  noStats,
  readAnswer,
  readGone,
  readHello,
  readReload,
  statsReader,
} from '../../src/remote/messages.js';
import {
  addForwards,
  openNetns,
  openSockets,
  readSessions,
  readStats,
  retargetForwards,
  startEngine,
  takeEnded,
} from '../../src/remote/sections.js';
import { Reader, WireError, type Writer } from '../../src/remote/wire.js';
import { counters } from '../../src/spec/counters.js';
import { resolveForwards } from '../../src/spec/validate.js';
import { at } from '../../src/util.js';
import { answerOf, helloOf, written } from '../helpers/fake-shim.js';

function stateOf(to: Writer): void {
  to.i32(7);
  to.list([0, 1], (slot) => {
    to.u32(slot);
    to.text(slot === 0 ? '' : '/run/netns/web');
    to.u64(4);
    to.u64(4026531840 + slot);
  });
  to.list([3, 6], (id) => {
    to.i32(id);
    to.u8(id === 3 ? 0 : 1);
    to.u8(id === 3 ? 0 : 3);
    to.flag(id === 3);
    to.flag(id === 6);
    to.u32(1);
    to.endpoint({ address: '::', port: 8_000 + id });
    to.endpoint({ address: '127.0.0.1', port: id });
  });
  to.bytes(Buffer.from('notes'));
}

/** The state with what the first shims did not have. */
function stateWithNotesOf(to: Writer): void {
  stateOf(to);
  to.list(['controlPath', 'containerAddress'], (name) => {
    to.text(name);
    to.text(`/of ${name}`);
  });
}

/** What it makes of each beginning of a message: only the whole one is enough. */
function expectNoBeginningIsEnough(payload: Buffer, read: (payload: Buffer) => unknown): void {
  for (let length = 0; length < payload.length; length++) {
    expect(() => read(payload.subarray(0, length))).toThrow(WireError);
  }
}

describe('a hello', () => {
  const counterNames = ['sessionsClosed', 'sessionsTotal'];

  test('of a shim that is not ready has what it was started with', () => {
    const hello = readHello(helloOf({ counterNames, configuration: '{"a":1}' }));
    expect(hello).toMatchObject({
      ...{ protocol: 1, version: '1.2.3', pid: 4321, ageMs: 99, maxOpenFiles: 1_024 },
      inheritedFds: [3, 5],
      environment: { HOME: '/of HOME', TMPDIR: '/of TMPDIR' },
      ...{ workingDirectory: '/run', counterNames, state: undefined },
    });
    expect(hello.configuration.toString()).toBe('{"a":1}');
  });

  test('of one that is ready has its forwards', () => {
    const { state } = readHello(helloOf({ state: stateOf }));
    expect(state?.nextId).toBe(7);
    expect(state?.namespaces).toEqual([
      { slot: 0, path: '', identity: '4:4026531840' },
      { slot: 1, path: '/run/netns/web', identity: '4:4026531841' },
    ]);
    expect(state?.forwards).toEqual([
      {
        ...{ id: 3, protocol: 'tcp', sourceAddress: 'container', isDraining: false, slot: 1 },
        host: { address: '::', port: 8_003, dualStack: true },
        container: { address: '127.0.0.1', port: 3 },
      },
      {
        ...{ id: 6, protocol: 'udp', sourceAddress: 'proxy-v2', isDraining: true, slot: 1 },
        host: { address: '::', port: 8_006, dualStack: false },
        container: { address: '127.0.0.1', port: 6 },
      },
    ]);
    expect(state?.blob.toString()).toBe('notes');
    expect(state?.ownNotes).toEqual({});
  });

  test('has what a shim has done by itself', () => {
    const { state } = readHello(helloOf({ state: stateWithNotesOf }));
    expect(state?.ownNotes).toEqual({
      controlPath: '/of controlPath',
      containerAddress: '/of containerAddress',
    });
  });

  test('may end in what only a newer shim says', () => {
    const { state } = readHello(helloOf({ state: stateWithNotesOf, more: 'more' }));
    expect(state?.forwards).toHaveLength(2);
  });

  test('that is cut at any byte is a WireError', () => {
    expectNoBeginningIsEnough(helloOf({ counterNames, state: stateOf }), readHello);
  });
});

describe('an answer', () => {
  test('has the results of all sections', () => {
    const answer = readAnswer(answerOf(5, [Buffer.from('a'), Buffer.alloc(0)]));
    expect(answer).toMatchObject({ sequence: 5, failure: undefined });
    expect(answer.results.map(String)).toEqual(['a', '']);
  });

  test('has the section that failed, and what in it', () => {
    const failure = { errno: -98, syscall: 'bind', index: 3 };
    const { failure: failed, results } = readAnswer(answerOf(5, [Buffer.from('a')], failure));
    expect(failed).toEqual({ ...failure, section: 1 });
    expect(results).toHaveLength(1);
    const without = readAnswer(answerOf(5, [], { errno: -1, syscall: 'setns' })).failure;
    expect(without).toEqual({ errno: -1, syscall: 'setns', section: 0 });
  });

  test('that is cut at any byte is a WireError', () => {
    expectNoBeginningIsEnough(answerOf(5, [Buffer.from('a')]), readAnswer);
  });
});

test('ids of forwards that are gone, and a reload request, are read', () => {
  expect(readGone(written((to) => to.list([3, 4], (id) => to.i32(id))))).toEqual([3, 4]);
  const reload = readReload(
    written((to) => {
      to.u32(8);
      to.bytes(Buffer.from('"10.0.0.2"'));
    }),
  );
  expect(reload.client).toBe(8);
  expect(reload.request.toString()).toBe('"10.0.0.2"');
});

describe('counters of a shim', () => {
  /** A record in which the counters are 100, 101 … in order. */
  const record = (count: number, connectErrno = 0): Buffer =>
    written((to) => {
      to.u64(5);
      to.u16(count);
      for (let index = 0; index < count; index++) to.u64(100 + index);
      to.u16(2);
      for (const bucket of [7, 8]) to.u64(bucket);
      to.i32(connectErrno);
    });
  const read = (names: readonly string[], connectErrno?: number) =>
    statsReader(names)(new Reader(record(names.length, connectErrno)));

  test('are found by their names', () => {
    const stats = read(['sessionsClosed', 'sessionsTotal', 'bytesToHost'], -111);
    expect(stats).toMatchObject({ sessionsOpen: 5, sessionsTotal: 101, bytesToHost: 102 });
    expect(stats).toMatchObject({ connectLatency: [7, 8], connectErrno: -111 });
    expect(stats).not.toHaveProperty('sessionsClosed');
  });

  test('that an older shim does not have are 0', () => {
    const names = Object.keys(counters).filter((name) => name !== 'connectError');
    const stats = read(['sessionsTotal']);
    expect(Object.keys(stats).sort()).toEqual(names.sort());
    expect(stats).toMatchObject({ sessionsTotal: 100, bytesToHost: 0, sessionsDenied: 0 });
  });

  test('that only a newer shim has are passed over', () => {
    const stats = read(['novelties', 'sessionsTotal', '__proto__', 'connectLatency']);
    expect(stats).toMatchObject({ sessionsTotal: 101, connectLatency: [7, 8] });
    expect(Object.keys(stats).sort()).toEqual(Object.keys(noStats()).sort());
  });

  test('of many forwards are in the order in which they were asked for', () => {
    const section = readStats([4, undefined], statsReader(['sessionsTotal']));
    expect(written(section.write)).toEqual(written((to) => to.list([4, -1], (id) => to.i32(id))));
    const two = Buffer.concat([written((to) => to.u32(2)), record(1), record(1, -110)]);
    expect(section.read(new Reader(two)).map((stats) => stats.connectErrno)).toEqual([
      undefined,
      -110,
    ]);
  });

  test('of those who have had nothing are 0', () => {
    expect(noStats()).toMatchObject({ sessionsOpen: 0, connectMicrosTotal: 0 });
    expect(noStats().connectLatency).toEqual(new Array(14).fill(0));
  });
});

describe('sections', () => {
  const [range] = resolveForwards(
    [
      {
        ...{ protocol: 'udp', count: 3, netns: { path: '/n' } },
        ...{ host: { port: 53 }, container: { port: 5353 } },
        ...{ allow: ['10.0.0.0/8'], deny: ['10.0.0.1', '::1'], maxSessions: 9 },
        ...{ acceptProxy: true, trustedProxies: ['192.0.2.1'], sourceAddress: 'proxy-v2' },
        maxSessionsPerClient: 7,
        waitForServerMs: 8,
      },
    ],
    undefined,
  );

  test('of an engine have its settings', () => {
    const settings = {
      ...{ workers: 2, spinMicros: 3, pipeCapacityBytes: 2 ** 20, nearRttMicros: 500 },
    };
    const from = new Reader(written(startEngine(settings, true).write));
    const read = [from.i32(), from.i64(), from.u64(), from.u32(), from.flag(), from.left];
    expect(read).toEqual([2, 3, 2 ** 20, 500, true, 0]);
  });

  test('of sockets say that those of both families are not for IPv6 alone', () => {
    const host = at([range], 0)?.host;
    if (host === undefined) throw new Error('there is no range');
    const section = openSockets([{ ...host, count: 3 }]);
    const from = new Reader(written(section.write));
    const read = [from.u32(), from.u8(), from.u8(), from.u16(), from.endpoint(), from.left];
    expect(read).toEqual([1, 1, 0, 3, { address: '::', port: 53 }, 0]);
    const ports = written((to) => to.list([53, 54], (port) => to.u16(port)));
    expect(section.read(new Reader(ports))).toEqual([53, 54]);
  });

  test('of forwards have every setting', () => {
    if (range === undefined) throw new Error('there is no range');
    const { container, settings } = range;
    const section = addForwards([
      { firstId: 4, protocol: 'udp', slot: 2, count: 3, container, settings },
    ]);
    const from = new Reader(written(section.write));
    expect([from.u32(), from.i32(), from.u8(), from.u8(), from.u32(), from.u16()]).toEqual([
      ...[1, 4, 1, 3, 2, 3],
    ]);
    expect(from.endpoint()).toEqual({ address: '127.0.0.1', port: 5353 });
    expect([from.flag(), ...from.times(9, () => from.u32())]).toEqual([
      ...[true, 10_000, 90_000, 15_000, 15_000, 9, 16_384, 9, 0, 3_000],
    ]);
    const lists = from.times(3, () => from.list(() => from.text()));
    expect(lists).toEqual([['10.0.0.0/8'], ['10.0.0.1', '::1'], ['192.0.2.1']]);
    const added = new Reader(from.bytes());
    expect([added.u32(), added.u32(), added.left, from.left]).toEqual([7, 8, 0, 0]);
  });

  test('of new targets leave the namespace as it is where there is none', () => {
    const container = { address: '10.0.0.2', port: 80 };
    const targets = [
      { id: 1, slot: undefined, container },
      { id: 2, slot: 3, container },
    ];
    const from = new Reader(written(retargetForwards(targets).write));
    const read = from.list(() => [from.i32(), from.i32(), from.endpoint()]);
    expect(read).toEqual([
      [1, -1, container],
      [2, 3, container],
    ]);
  });

  test('of a namespace result in its slot and what tells it from others', () => {
    const result = written((to) => {
      to.u32(3);
      to.u64(4);
      to.u64(4026532000);
    });
    const opened = openNetns('/n').read(new Reader(result));
    expect(opened).toEqual({ slot: 3, identity: '4:4026532000' });
  });

  const [client, target] = [
    { address: '192.0.2.7', port: 40_000 },
    { address: '127.0.0.1', port: 80 },
  ];

  test('of sessions result in them, without a source where there is none', () => {
    const result = written((to) =>
      to.list(['', '10.0.0.1'], (source) => {
        to.i32(4);
        to.u8(0);
        to.u8(source === '' ? 0 : 2);
        to.endpoint(client);
        to.endpoint(target);
        to.endpoint({ address: source, port: 9 });
        for (const count of [10, 20, 30]) to.u64(count);
      }),
    );
    const session = { forwardId: 4, protocol: 'tcp', client, target, bytesToContainer: 10 };
    expect(readSessions().read(new Reader(result))).toEqual([
      { ...session, bytesToHost: 20, ageMs: 30, state: 'connecting' },
      {
        ...session,
        ...{ bytesToHost: 20, ageMs: 30, state: 'half-closed' },
        source: { address: '10.0.0.1', port: 9 },
      },
    ]);
    expectNoBeginningIsEnough(result, (payload) => readSessions().read(new Reader(payload)));
  });

  test('of ends result in them, without what was not reached', () => {
    const result = written((to) =>
      to.list([true, false], (connected) => {
        to.i32(4);
        to.u8(1);
        to.endpoint(client);
        to.endpoint(target);
        for (const count of [10, 20, 30]) to.u64(count);
        to.i64(connected ? 7 : -1);
        to.u8(connected ? 0 : 15);
        to.i32(connected ? 0 : -111);
      }),
    );
    const ended = { forwardId: 4, protocol: 'udp', client, target, bytesToContainer: 10 };
    expect(takeEnded(9).read(new Reader(result))).toEqual([
      { ...ended, bytesToHost: 20, durationMicros: 30, connectMicros: 7, ending: 'fin' },
      { ...ended, bytesToHost: 20, durationMicros: 30, ending: 'proxy-late', errno: -111 },
    ]);
  });

  test('whose result has a word that is unknown here are a WireError', () => {
    const state = 9;
    const result = written((to) => {
      to.u32(1);
      to.i32(4);
      to.u8(0);
      to.u8(state);
    });
    expect(() => readSessions().read(new Reader(result))).toThrow(WireError);
  });
});
