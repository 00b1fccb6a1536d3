// Calls that fail while the helper relays: what clients get is whole or cut by a reset, never short
// with a clean end, and all is well again once the calls succeed.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Caller, freePort, Run } from '../contract/helpers/run.js';
import { Container, type TcpService, type UdpService } from '../helpers/container.js';
import { digestOf, payloadDigest, sendPayload } from '../helpers/payload.js';
import { isAlive, openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp } from '../helpers/tcp-client.js';
import { isMissing } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until, within } from '../helpers/wait.js';
import { Attached, strace, type Fault } from './helpers/strace.js';

/** Calls of the workers, the errors that they are made to fail with, and which of them do. */
const table: readonly (readonly [call: string, when: string, errors: readonly string[]])[] = [
  ['splice', '1+', ['ENOMEM', 'EINVAL', 'EPERM', 'ENOSYS']],
  ['splice', '5+7', ['ENOMEM', 'ENOBUFS', 'EIO']],
  ['recvfrom', '3+5', ['ENOMEM', 'ENOBUFS', 'EIO', 'EPERM']],
  ['sendto', '3+5', ['ENOMEM', 'ENOBUFS', 'EPERM']],
  ['pipe2', '1+', ['EMFILE', 'ENOMEM']],
  ['fcntl', '1+', ['EPERM', 'EBUSY']],
  ['accept4', '1+', ['EMFILE', 'ENFILE', 'ENOMEM', 'EPERM', 'EIO']],
  ['accept4', '1+2', ['ECONNABORTED', 'EPROTO']],
  ['socket', '1+2', ['EMFILE', 'ENOBUFS', 'EACCES']],
  ['connect', '1+2', ['ENETUNREACH', 'EADDRNOTAVAIL', 'ENOBUFS']],
  ['epoll_ctl', '1+3', ['ENOMEM', 'ENOSPC']],
  ['setsockopt', '1+', ['ENOMEM', 'ENOPROTOOPT']],
  ['getsockopt', '1+', ['ENOBUFS']],
  ['shutdown', '1+', ['ENOTCONN']],
  ['recvmmsg', '1+', ['ENOMEM', 'EIO']],
  ['recvmmsg', '1+2', ['ENOMEM', 'EIO']],
  ['recvmsg', '1+2', ['ENOMEM', 'EIO']],
  ['sendmsg', '1+2', ['ENOBUFS', 'EPERM', 'EIO', 'EMSGSIZE']],
  ['sendmmsg', '1+2', ['ENOBUFS', 'EPERM', 'EIO', 'EMSGSIZE']],
];

const BULK_BYTES = 4 << 20;
const CLIENTS = 6;
const BURST = 8;
const WAIT_MS = 4_000;
/** A busy loop makes some 10,000 calls a second under strace. */
const MAX_FAILURES = 4_000;
/** A download is whole, cut short by a reset, or was never answered. */
type Fate = 'whole' | 'reset' | 'short with a clean end' | 'other bytes' | 'waiting';
const allowed: readonly Fate[] = ['whole', 'reset', 'waiting'];

const bulk = payloadDigest(BULK_BYTES);

let container: Container;
let source: TcpService;
let digest: TcpService;
let echo: TcpService;
let udp: UdpService;

beforeAll(async () => {
  container = await Container.start();
  source = await container.tcp({ kind: 'source', bytes: BULK_BYTES });
  digest = await container.tcp({ kind: 'digest' });
  echo = await container.tcp({ kind: 'echo' });
  udp = await container.udp({ echo: true });
});
afterAll(() => container.stop());

let caller: Caller;
let run: Run;
let ports: { source: number; digest: number; echo: number; udp: number };

beforeEach(async () => {
  caller = new Caller(`/proc/${container.pid}/ns/net`);
  const free = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  ports = { source: free[0], digest: free[1], echo: free[2], udp: free[3] };
  const services = { source, digest, echo, udp };
  const names = ['source', 'digest', 'echo', 'udp'] as const;
  const mappings = names.map((name) => ({
    host_port: ports[name],
    container_port: services[name].port,
    range: 1,
    protocol: name === 'udp' ? 'udp' : 'tcp',
  }));
  run = await new Run(caller.config(mappings)).ready();
});
afterEach(async () => {
  await run[Symbol.asyncDispose]();
  caller[Symbol.dispose]();
});

/** How a transfer ended, or that it had not after `withinMs`. */
async function fateOf(
  transfer: (socket: Socket) => Promise<boolean | 'short'>,
  port: number,
  withinMs: number,
): Promise<Fate> {
  const socket = await connectTcp({ port }).catch(() => undefined);
  // It was reset before it knew that it had connected.
  if (socket === undefined) return 'reset';
  const failed = new Promise<'reset'>((resolve) => socket.once('close', () => resolve('reset')));
  try {
    const ended = transfer(socket).then(
      (isRight) =>
        isRight === 'short' ? 'short with a clean end' : isRight ? 'whole' : 'other bytes',
      () => 'reset' as const,
    );
    return await within(Promise.race([ended, failed]), 'a fate', withinMs).catch(
      () => 'waiting' as const,
    );
  } finally {
    socket.destroy();
    await failed;
  }
}

/**
 * libuv tells of an end where bytes and a reset come at once; what is reset takes no more bytes.
 */
const isReset = (socket: Socket): Promise<boolean> =>
  new Promise((resolve) => socket.write('x', (error) => resolve(error instanceof Error)));

const download = (withinMs: number): Promise<Fate> =>
  fateOf(
    async (socket) => {
      const got = await digestOf(socket);
      if (got.bytes < BULK_BYTES) {
        if (await isReset(socket)) throw new Error('it was reset');
        return 'short';
      }
      return got.sha256 === bulk.sha256;
    },
    ports.source,
    withinMs,
  );

const upload = (withinMs: number): Promise<Fate> =>
  fateOf(
    async (socket) => {
      const sent = await sendPayload(socket, BULK_BYTES);
      const answer: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => answer.push(chunk)).end();
      await once(socket, 'end');
      const text = Buffer.concat(answer).toString();
      return text === '' ? 'short' : text === `${sent.bytes} ${sent.sha256}`;
    },
    ports.digest,
    withinMs,
  );

/**
 * Whether some datagrams come back, of those that are sent within the time: one by one and many at
 * a time, for which there are different calls. They grow, so that they do not pass as one.
 */
async function isUdpServed(withinMs: number): Promise<boolean> {
  using socket = await UdpSocket.bind({});
  let tries = 0;
  const isAnswered = async (): Promise<boolean> => {
    const burst = ++tries % 4 === 0 ? BURST : 1;
    const before = socket.received.length;
    for (let size = 1; size <= burst; size++) {
      await socket.send('x'.repeat(size), ports.udp).catch(() => undefined);
    }
    await until(() => socket.received.length > before, 'an answer', 50).catch(() => undefined);
    return socket.received.length > 2 * BURST;
  };
  return await until(isAnswered, 'an answer by UDP', withinMs).catch(() => false);
}

/** Everything works, and nothing is left of what was before. */
async function expectWell(fds: number): Promise<void> {
  expect(await until(async () => (await download(20_000)) === 'whole', 'a download')).toBe(true);
  expect(await upload(20_000)).toBe('whole');
  expect(await askTcp({ port: ports.echo }, 'hello')).toBe('hello');
  expect(await isUdpServed(10_000)).toBe(true);
  // The flow of the datagram, and what each worker keeps: pipes, a namespace.
  await until(() => openFds(run.pid) <= fds + 24, 'descriptors are closed');
}

async function load(): Promise<Fate[]> {
  const datagrams = isUdpServed(WAIT_MS / 4);
  const transfers = Array.from({ length: CLIENTS }, (_, i) =>
    i % 2 === 0 ? download(WAIT_MS) : upload(WAIT_MS),
  );
  await datagrams;
  return Promise.all(transfers);
}

describe.skipIf(isMissing(strace, 'tests of calls that fail'))('a helper that relays', () => {
  const faults: Fault[] = table.flatMap(([call, when, errors]) =>
    errors.map((error) => ({ call, error, when })),
  );
  test.each(faults)('cuts nothing short when $call ($when) fails with $error', async (fault) => {
    const fds = openFds(run.pid);
    {
      await using trace = await Attached.to(run.pid, 'all', fault);
      const fates = await load();
      expect(fates.filter((fate) => !allowed.includes(fate))).toEqual([]);
      expect(trace.log.injected).toBeGreaterThan(0);
      // A call that goes on failing is not made again and again.
      expect(trace.log.injected).toBeLessThan(MAX_FAILURES);
    }
    expect(isAlive(run.pid)).toBe(true);
    await expectWell(fds);
    expect(await run.letGo()).toMatchObject({ code: 0, signal: null });
  });
});
