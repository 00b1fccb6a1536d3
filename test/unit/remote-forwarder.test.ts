import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import type { EndedSession } from '../../src/index.js';
import { RemoteForwarder, type RemoteOptions } from '../../src/remote/remote-forwarder.js';
import { Shim } from '../../src/remote/shim.js';
import {
  FakeShim,
  helloOf,
  written,
  type AskedSection,
  type Failure,
  type HelloFacts,
} from '../helpers/fake-shim.js';
import { unixPair } from '../helpers/unix-pair.js';
import { until } from '../helpers/wait.js';

const { errno } = constants;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

type Replies = Partial<Record<string, (section: AskedSection) => Buffer | Failure>>;

const netns = written((to) => {
  to.u32(3);
  to.u64(4);
  to.u64(5);
});

/** What works: every socket gets a port, and every path the same namespace. */
const usual: Replies = {
  O: ({ content }) => {
    const counts = content.list(() => {
      content.u16();
      const count = content.u16();
      content.endpoint();
      return count;
    });
    const total = counts.reduce((sum, count) => sum + count, 0);
    const ports = Array.from({ length: total }, (_, index) => 40_000 + index);
    return written((to) => to.list(ports, (port) => to.u16(port)));
  },
  N: () => netns,
};

/** A forwarder of a shim that does what it is told. */
async function connected(replies: Replies, options: RemoteOptions = {}, hello: HelloFacts = {}) {
  const [near, far] = unixPair();
  const fake = new FakeShim(far, (section) => {
    const reply = replies[section.kind] ?? usual[section.kind];
    return reply?.(section) ?? Buffer.alloc(0);
  });
  const shim = new Shim(near, '', {
    ...{ onHello: () => undefined, onReload: () => undefined },
    ...{ onControlClient: () => undefined, onEnd: () => undefined },
  });
  open.push(shim, fake);
  fake.say('H', helloOf({ counterNames: ['sessionsTotal'], ...hello }));
  await until(() => shim.hello, 'hello');
  const forwarder = new RemoteForwarder(shim, { netns: { path: '/n' }, ...options });
  const kinds = () => fake.asked.map(({ sections }) => sections.map(({ kind }) => kind).join(''));
  return { fake, forwarder, kinds };
}

const spec = { host: { port: 0 }, container: { port: 80 } };

describe('a shim is asked', () => {
  test('for everything that a first forward needs at once, and for no engine again', async () => {
    const { forwarder, kinds } = await connected({});
    await forwarder.add(spec);
    await forwarder.addAll([spec, { ...spec, netns: { path: '/m' } }]);
    expect(kinds()).toEqual(['EON', 'A', 'ONN', 'A']);
  });

  test('for IPv4 alone where the host has no IPv6', async () => {
    const hosts: [number, string][] = [];
    const { forwarder, kinds } = await connected({
      O: ({ kind, content }) => {
        content.u32();
        const [, ipv6Only] = [content.u8(), content.u8()];
        content.u16();
        const { address } = content.endpoint();
        hosts.push([ipv6Only, address]);
        if (address === '::') return { errno: -errno.EAFNOSUPPORT, syscall: 'socket', index: 0 };
        expect(kind).toBe('O');
        return written((to) => to.list([40_000], (port) => to.u16(port)));
      },
    });
    const { host } = await forwarder.add(spec);
    expect(host).toEqual({ address: '0.0.0.0', port: 40_000, dualStack: false });
    expect(hosts).toEqual([
      [0, '::'],
      [1, '0.0.0.0'],
    ]);
    expect(kinds()).toEqual(['EON', 'ON', 'A']);
  });

  test('to close a namespace after the last forward there, and what failed', async () => {
    const { forwarder, kinds } = await connected({
      A: () => ({ errno: -errno.EMFILE, syscall: 'accept' }),
    });
    await expect(forwarder.addAll([{ ...spec, count: 2 }])).rejects.toMatchObject({
      ...{ code: 'EMFILE', side: 'host', port: 40_000 },
    });
    await until(() => kinds().includes('V'), 'the namespace to be closed');
    expect(kinds()).toEqual(['EON', 'A', 'V']);
  });

  test('for the namespaces of removed forwards only when none is left', async () => {
    const { fake, forwarder, kinds } = await connected({});
    const [first, second, third] = await forwarder.addAll([{ ...spec, count: 2 }, spec]);
    const gone = (ids: number[]) =>
      fake.say(
        'g',
        written((to) => to.list(ids, (id) => to.i32(id))),
      );
    for (const ids of [[first?.id ?? 0], [second?.id ?? 0, third?.id ?? 0]]) {
      const removal = forwarder.remove(ids);
      await until(() => kinds().at(-1)?.startsWith('D'), 'the removal');
      gone(ids);
      await removal;
    }
    await until(() => kinds().includes('V'), 'the namespace to be closed');
    expect(kinds()).toEqual(['EON', 'A', 'D', 'D', 'V']);
  });

  test('for nothing when a forward leads to itself, but to close what is open', async () => {
    const { forwarder, kinds } = await connected({ N: () => ownNetns() });
    const circle = { host: { port: 40_000 }, container: { port: 40_000 } };
    await expect(forwarder.add({ ...circle, netns: 'own' })).rejects.toMatchObject({
      code: 'ERR_SPLICEPORT_LEADS_TO_ITSELF',
    });
    expect(kinds()).toEqual(['EON', 'V', 'X']);
  });
});

describe('what a shim cannot do', () => {
  test('is why there is no engine, and the next forward tries again', async () => {
    let attempts = 0;
    const { forwarder, kinds } = await connected({
      E: () =>
        attempts++ === 0 ? { errno: -errno.EAGAIN, syscall: 'pthread_create' } : Buffer.alloc(0),
    });
    await expect(forwarder.add(spec)).rejects.toMatchObject({
      code: 'EAGAIN',
      hint: expect.stringContaining('threads') as string,
    });
    expect((await forwarder.add(spec)).id).toBe(1);
    expect(kinds()).toEqual(['EON', 'EON', 'A']);
  });

  test('because it is older is ENOSYS, and leaves nothing open', async () => {
    const { forwarder } = await connected({
      A: () => ({ errno: -errno.ENOSYS, syscall: 'section' }),
    });
    await expect(forwarder.add(spec)).rejects.toMatchObject({ code: 'ENOSYS' });
    expect(forwarder.list()).toEqual([]);
  });
});

/** The namespace of this process, as a shim names it. */
function ownNetns(): Buffer {
  const { dev, ino } = process.getBuiltinModule('node:fs').statSync('/proc/self/ns/net');
  return written((to) => {
    to.u32(0);
    to.u64(dev);
    to.u64(ino);
  });
}

const client = { address: '192.0.2.7', port: 40_000 };
const target = { address: '127.0.0.1', port: 80 };

test('ten thousand sessions are listed', async () => {
  const ids = Array.from({ length: 10_000 }, (_, index) => index);
  const { forwarder } = await connected({
    Y: () =>
      written((to) =>
        to.list(ids, (id) => {
          to.i32(id);
          to.u8(0);
          to.u8(1);
          for (const endpoint of [client, target, target]) to.endpoint(endpoint);
          for (const count of [1, 2, 3]) to.u64(count);
        }),
      ),
  });
  await forwarder.add(spec);
  const sessions = await forwarder.sessions();
  expect(sessions.map(({ forwardId }) => forwardId)).toEqual(ids);
  expect(sessions[9_999]).toMatchObject({ client, target, state: 'open', ageMs: 3 });
});

test('ends of sessions are taken until there are none, also those from before the resident', async () => {
  const ended: number[] = [];
  let left = 300;
  const { forwarder, kinds } = await connected(
    {
      U: ({ content }) => {
        const count = Math.min(content.u32(), left);
        left -= count;
        return written((to) =>
          to.list(Array.from({ length: count }), () => {
            to.i32(1);
            to.u8(0);
            to.endpoint(client);
            to.endpoint(target);
            for (const value of [1, 2, 3_000]) to.u64(value);
            to.i64(-1);
            to.u8(8);
            to.i32(-errno.ECONNREFUSED);
          }),
        );
      },
    },
    {
      onSessionsEnded: (batch: readonly EndedSession[]) => {
        ended.push(batch.length);
        expect(batch[0]).toMatchObject({ ending: 'connect-failed', error: 'ECONNREFUSED' });
        expect(batch[0]).toMatchObject({ durationMs: 3 });
      },
    },
    {
      state: (to) => {
        to.i32(2);
        for (const empty of [0, 0, 0]) to.u32(empty);
      },
    },
  );
  expect(forwarder.list()).toEqual([]);
  await until(() => kinds().length === 3, 'three requests');
  expect(ended).toEqual([256, 44]);
});
