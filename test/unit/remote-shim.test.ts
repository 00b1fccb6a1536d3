import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/remote/channel.js';
import { RequestError, Shim } from '../../src/remote/shim.js';
import {
  closeSockets,
  openNetns,
  releaseNetns,
  stopControl,
  warn,
  type Section,
} from '../../src/remote/sections.js';
import { answerOf, FakeShim, helloOf, written } from '../helpers/fake-shim.js';
import { unixPair } from '../helpers/unix-pair.js';
import { until } from '../helpers/wait.js';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function connected() {
  const [near, far] = unixPair();
  const told: unknown[] = [];
  const fake = new FakeShim(far);
  const shim = new Shim(near, '9.9.9', {
    onHello: ({ pid }) => told.push(['hello', pid]),
    onReload: (client, request) => told.push(['reload', client, request.toString()]),
    onControlClient: (fd) => {
      told.push('control');
      closeSync(fd);
    },
    onEnd: () => told.push('end'),
  });
  shim.tellOfForwards({
    onGone: (ids) => told.push(['gone', ...ids]),
    onFailed: (failures) => told.push(['failed', ...failures]),
    onSessionsEnded: () => told.push('ended'),
    onEnd: (lastWords) => told.push(['last', lastWords?.stats.sessionsTotal]),
  });
  open.push(shim, fake);
  return { shim, fake, told };
}

async function introduced() {
  const { fake, ...rest } = connected();
  fake.say('H', helloOf({ counterNames: ['sessionsTotal'] }));
  await until(() => rest.shim.hello, 'hello');
  return { fake, ...rest };
}

const failuresOf = (...failures: readonly (readonly [number, number, number])[]): Buffer =>
  written((to) =>
    to.list(failures, ([id, ending, code]) => {
      to.i32(id);
      to.u8(ending);
      to.i32(code);
    }),
  );

const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('messages', () => {
  test('arrive whole and in order, however the stream is cut', async () => {
    const [near, far] = unixPair();
    const messages: string[] = [];
    const channel = new Channel(near, {
      onMessage: (kind, payload) => messages.push(`${kind}${payload.toString()}`),
      onEnd: () => messages.push('end'),
    });
    open.push(channel);
    const stream = Buffer.from('\x03\0\0\0x\0\0\0abc\0\0\0\0y\0\0\0\x01\0\0\0z\0\0\0d', 'latin1');
    for (const byte of stream) {
      writeSync(far, Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    closeSync(far);
    await until(() => messages.includes('end'), 'end');
    expect(messages).toEqual(['xabc', 'y', 'zd', 'end']);
  });

  test('of a peer that has ended without reading arrive, and so does its end', async () => {
    const [near, far] = unixPair();
    const messages: string[] = [];
    const channel = new Channel(near, {
      onMessage: (kind) => messages.push(kind),
      onEnd: () => messages.push('end'),
    });
    open.push(channel);
    expect(channel.send('q', Buffer.alloc(1))).toBe(true);
    writeSync(far, Buffer.from('\0\0\0\0x\0\0\0', 'latin1'));
    closeSync(far);
    await until(() => messages.includes('end'), 'the end');
    expect(messages).toEqual(['x', 'end']);
  });

  test('that are larger than the socket takes arrive once the peer reads', async () => {
    const [near, far] = unixPair();
    const sizes: number[] = [];
    const sender = new Channel(near, { onMessage: () => undefined, onEnd: () => undefined });
    for (const size of [3_000_000, 10, 2_000_000]) {
      expect(sender.send('x', Buffer.alloc(size, 'y'))).toBe(true);
    }
    const receiver = new Channel(far, {
      onMessage: (_, payload) =>
        sizes.push(payload.every((byte) => byte === 121) ? payload.length : -1),
      onEnd: () => undefined,
    });
    open.push(sender, receiver);
    await until(() => sizes.length === 3, 'messages');
    expect(sizes).toEqual([3_000_000, 10, 2_000_000]);
  });

  test('are not queued without a limit for a peer that does not read', () => {
    const [near, far] = unixPair();
    const sender = new Channel(near, { onMessage: () => undefined, onEnd: () => undefined });
    open.push(sender);
    const outcomes = Array.from({ length: 40 }, () => sender.send('x', Buffer.alloc(1_000_000)));
    expect(outcomes.filter(Boolean).length).toBeGreaterThan(15);
    expect(outcomes.at(-1)).toBe(false);
    closeSync(far);
  });

  test('bring the descriptors that belong to them', async () => {
    const [near, far] = unixPair();
    const counts: [string, number][] = [];
    const before = descriptors();
    const sender = new Channel(near, { onMessage: () => undefined, onEnd: () => undefined });
    const receiver = new Channel(far, {
      onMessage: (kind, _, fds) => {
        counts.push([kind, fds.length]);
        for (const fd of fds) closeSync(fd);
      },
      onEnd: () => undefined,
    });
    open.push(sender, receiver);
    const opened = (count: number) =>
      Array.from({ length: count }, () => openSync('/dev/null', 'r'));
    sender.send('a', Buffer.alloc(300_000), opened(2));
    sender.send('b', Buffer.alloc(0));
    sender.send('c', Buffer.alloc(1), opened(1));
    await until(() => counts.length === 3, 'messages');
    expect(counts).toEqual([
      ['a', 2],
      ['b', 0],
      ['c', 1],
    ]);
    expect(descriptors()).toBe(before);
  });

  test.each([
    ['is too long', '\x01\0\0\x04x\0\0\0'],
    ['lacks its descriptors', '\0\0\0\0x\x01\0\0'],
  ])('end the connection if one %s', async (reason, header) => {
    const [near, far] = unixPair();
    const errors: unknown[] = [];
    const onEnd = (error: unknown) => errors.push(error);
    open.push(new Channel(near, { onMessage: () => undefined, onEnd }));
    writeSync(far, header, null, 'latin1');
    await until(() => errors.length > 0, 'end');
    expect(String(errors[0])).toContain(reason);
    closeSync(far);
  });
});

describe('a shim', () => {
  test('is told that somebody is there before it has said anything', async () => {
    const { fake } = connected();
    await until(() => fake.alive, 'alive');
    expect(fake.alive).toBe('9.9.9');
  });

  test('is dropped if it says something else before its hello', async () => {
    const { fake, told } = connected();
    fake.say('e');
    await until(() => fake.ended, 'end');
    expect(told).toEqual([['last', undefined], 'end']);
  });

  test('says what happens; what only a newer one says is passed over', async () => {
    const { fake, told } = await introduced();
    fake.say(
      'g',
      written((to) => to.list([3, 4], (id) => to.i32(id))),
    );
    fake.say('?', Buffer.from('news'), [openSync('/dev/null', 'r')]);
    fake.say('e');
    fake.say(
      'q',
      written((to) => {
        to.u32(8);
        to.bytes(Buffer.from('"10.0.0.2"'));
      }),
    );
    fake.say('f', failuresOf([5, 8, -111], [6, 9, 0]));
    const before = descriptors();
    fake.say('c', Buffer.alloc(0), [openSync('/dev/null', 'r')]);
    await until(() => told.length === 6, 'messages');
    expect(told).toEqual([
      ['hello', 4321],
      ['gone', 3, 4],
      'ended',
      ['reload', 8, '"10.0.0.2"'],
      [
        'failed',
        { id: 5, ending: 'connect-failed', errno: -111 },
        { id: 6, ending: 'connect-timeout' },
      ],
      'control',
    ]);
    expect(descriptors()).toBeLessThanOrEqual(before);
  });

  test('may say its last counters before it ends', async () => {
    const { fake, told } = await introduced();
    const bye = written((to) => {
      to.u64(0);
      to.u16(1);
      to.u64(77);
      to.u16(0);
      to.i32(0);
      to.u32(0);
    });
    fake.say('b', bye);
    fake.close();
    await until(() => told.includes('end'), 'end');
    expect(told).toContainEqual(['last', 77]);
  });
});

const netnsResult = written((to) => {
  to.u32(3);
  to.u64(4);
  to.u64(5);
});

describe('a request', () => {
  test('is some sections, and results in what each of them does', async () => {
    const { shim, fake } = await introduced();
    const outcome = shim.request([closeSockets(), openNetns('/n')]);
    await until(() => fake.asked.length > 0, 'request');
    const [asked] = fake.asked;
    expect(asked?.sections.map(({ kind }) => kind)).toEqual(['X', 'N']);
    expect(asked?.sections[1]?.content.text()).toBe('/n');
    fake.say('k', answerOf(asked?.sequence ?? 0, [Buffer.alloc(0), netnsResult]));
    expect(await outcome).toEqual([undefined, { slot: 3, identity: '4:5' }]);
  });

  test('gets its own answer, whatever comes first', async () => {
    const { shim, fake } = await introduced();
    const outcomes = [shim.request([openNetns('/a')]), shim.request([closeSockets()])];
    await until(() => fake.asked.length === 2, 'requests');
    const [first, second] = fake.asked.map(({ sequence }) => sequence);
    fake.say('k', answerOf(second ?? 0, [Buffer.alloc(0)]));
    fake.say('k', answerOf(first ?? 0, [netnsResult]));
    expect(await Promise.all(outcomes)).toEqual([[{ slot: 3, identity: '4:5' }], [undefined]]);
  });

  test('that fails says where, and what was done before', async () => {
    const { shim, fake } = await introduced();
    const outcome = shim.request([openNetns('/a'), openNetns('/b'), closeSockets()]);
    await until(() => fake.asked.length > 0, 'request');
    const failure = { errno: -1, syscall: 'setns' };
    fake.say('k', answerOf(fake.asked[0]?.sequence ?? 0, [netnsResult], failure));
    const error = await outcome.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({
      failure: { ...failure, section: 1 },
      results: [{ slot: 3, identity: '4:5' }],
    });
  });

  test('that a shim does not understand fails with ENOSYS; the connection goes on', async () => {
    const { shim, fake } = await introduced();
    const novelty: Section = { ...closeSockets(), kind: '~' };
    const outcome = shim.request([novelty]);
    await until(() => fake.asked.length > 0, 'request');
    fake.say('k', answerOf(1, [], { errno: -38, syscall: 'section' }));
    await expect(outcome).rejects.toMatchObject({ failure: { errno: -38, section: 0 } });
    expect(shim.isOpen).toBe(true);
  });

  test('is given up after its time; a late answer changes nothing', async () => {
    const { shim, fake } = await introduced();
    const outcome = shim.request([releaseNetns(1)], 20);
    await expect(outcome).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    fake.say('k', answerOf(1, [Buffer.alloc(0)]));
    const next = shim.request([warn('w')]);
    await until(() => fake.asked.length === 2, 'requests');
    fake.say('k', answerOf(2, [Buffer.alloc(0)]));
    expect(await next).toEqual([undefined]);
  });

  test('is rejected at once when the shim ends, and so is the next one', async () => {
    const { shim, fake } = await introduced();
    const outcome = shim.request([closeSockets()], Infinity);
    fake.close();
    await expect(outcome).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(shim.request([closeSockets()])).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('is rejected when too much waits for a shim that does not read', async () => {
    const [near, far] = unixPair();
    const shim = new Shim(near, '', {
      ...{ onHello: () => undefined, onReload: () => undefined },
      ...{ onControlClient: () => undefined, onEnd: () => undefined },
    });
    open.push(shim);
    const text = 'x'.repeat(1_000_000);
    const outcomes = Array.from({ length: 40 }, () => shim.request([warn(text)]));
    await expect(outcomes.at(-1)).rejects.toMatchObject({ code: 'ENOBUFS' });
    closeSync(far);
    const settled = await Promise.allSettled(outcomes);
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
  });

  test('sends its descriptors, and closes them', async () => {
    const { shim, fake } = await introduced();
    const before = descriptors();
    const fds = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
    void shim.request([{ ...stopControl(), fds }]).catch(() => undefined);
    await until(() => fake.asked.length > 0, 'request');
    expect(fake.descriptors).toEqual([2]);
    expect(descriptors()).toBe(before);
  });
});
