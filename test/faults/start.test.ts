// A call that fails while the helper starts: it says why and leaves nothing, or it serves. Nothing
// between.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Caller, executable, freePort, Run } from '../contract/helpers/run.js';
import { Container, type TcpService } from '../helpers/container.js';
import { askTcp, isRefused } from '../helpers/tcp-client.js';
import { isMissing } from '../helpers/tools.js';
import { within } from '../helpers/wait.js';
import { Attached, goOn, stopped, strace, type Fault } from './helpers/strace.js';

type Outcome = 'refuses' | 'serves';

/** What may come of a call that fails. More than one, where it depends on which of them fails. */
const table: readonly (readonly [call: string, errors: readonly string[], ...Outcome[]])[] = [
  ['socket', ['EMFILE', 'ENOBUFS', 'EACCES'], 'refuses'],
  ['bind', ['EADDRINUSE', 'ENOMEM'], 'refuses'],
  ['listen', ['EADDRINUSE', 'ENOBUFS'], 'refuses'],
  ['mkdir', ['EACCES', 'ENOSPC'], 'refuses'],
  ['openat', ['EMFILE', 'ENOMEM'], 'refuses', 'serves'],
  ['setsockopt', ['ENOMEM', 'ENOPROTOOPT'], 'refuses', 'serves'],
  ['epoll_create1', ['EMFILE', 'ENOMEM'], 'refuses'],
  // One of them only tells whether a descriptor is left, once all that is needed is open.
  ['eventfd2', ['EMFILE', 'ENOMEM'], 'refuses', 'serves'],
  ['clone3', ['EAGAIN', 'ENOMEM'], 'refuses'],
  // The engine's own, ExitFD's, the reload socket's.
  ['epoll_ctl', ['ENOSPC', 'ENOMEM'], 'refuses'],
];

/** Cases for one call: the first, the middle and the last that the helper makes by itself. */
const CASES = 3;

let container: Container;
let echo: TcpService;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
});
afterAll(() => container.stop());

/** A start under strace, and what is needed to look at it. */
class Start implements AsyncDisposable {
  readonly caller: Caller;
  readonly run: Run;
  readonly port: number;
  readonly trace: Attached;

  private constructor(caller: Caller, run: Run, port: number, trace: Attached) {
    this.caller = caller;
    this.run = run;
    this.port = port;
    this.trace = trace;
  }

  static async begin(fault?: Fault): Promise<Start> {
    const caller = new Caller(`/proc/${container.pid}/ns/net`);
    const port = await freePort();
    const mapping = { host_port: port, container_port: echo.port, range: 1, protocol: 'tcp' };
    const command = stopped(executable);
    const run = new Run(caller.config([mapping], { RootlessCNI: true }), { command });
    const trace = await Attached.to(run.pid, 'main', fault);
    await goOn(run.pid);
    return new Start(caller, run, port, trace);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run[Symbol.asyncDispose]();
    await this.trace[Symbol.asyncDispose]();
    this.caller[Symbol.dispose]();
  }
}

/**
 * The helper's own calls of each kind, by their numbers among all of that kind: what precedes its
 * bundle is node's.
 */
async function ownCalls(): Promise<Map<string, number[]>> {
  await using start = await Start.begin();
  await start.run.ready();
  await start.run.letGo();
  const counts = new Map<string, number>();
  const own = new Map<string, number[]>();
  let isOwn = false;
  for (const line of start.trace.log.lines) {
    const call = /^(\w+)\(/.exec(line)?.[1] ?? '';
    const number = (counts.get(call) ?? 0) + 1;
    counts.set(call, number);
    // What gives something back never fails for want of it.
    if (isOwn && !line.includes('EPOLL_CTL_DEL')) own.set(call, [...(own.get(call) ?? []), number]);
    isOwn ||= /^openat\(.*podman\.cjs"/.test(line);
    // What comes after it was ready is another table's.
    if (/^write\(\d+, "1", 1\)/.test(line)) break;
  }
  return own;
}

/** At most `CASES` of the numbers, both ends among them. */
function spread(numbers: readonly number[]): number[] {
  const step = Math.max(1, (numbers.length - 1) / (CASES - 1));
  return Array.from({ length: CASES }, (_, i) => numbers[Math.round(i * step)] ?? []).flat();
}

/** Runs it to its end; throws on anything but the two outcomes. */
async function outcomeOf(start: Start): Promise<Outcome> {
  const { run, port, caller } = start;
  const said = await within(run.readiness, 'readiness, or its end', 20_000);
  if (said === '1') {
    expect(await askTcp({ port }, 'hello')).toBe('hello');
    expect(await run.letGo()).toMatchObject({ code: 0, signal: null });
    expect(await isRefused({ port })).toBe(true);
  } else {
    const { code, signal, stdout } = await within(run.outcome, 'the end of the helper');
    expect({ said, code, signal }).toEqual({ said: '', code: 1, signal: null });
    expect(stdout).toMatch(/^[^\n]+\n$/);
  }
  expect(caller.files().filter((file) => file !== 'rp')).toEqual([]);
  return said === '1' ? 'serves' : 'refuses';
}

describe.skipIf(isMissing(strace, 'tests of calls that fail'))('a helper that starts', () => {
  let own: Awaited<ReturnType<typeof ownCalls>>;
  beforeAll(async () => {
    own = await ownCalls();
  });

  const rows = table.flatMap(([call, errors, ...allowed]) =>
    errors.map((error) => ({ call, error, allowed })),
  );
  test.each(rows)('$allowed when $call fails with $error', async (row) => {
    const { call, error, allowed } = row;
    const numbers = own.get(call) ?? [];
    expect(numbers, `own calls of ${call}`).not.toEqual([]);
    for (const number of spread(numbers)) {
      await using start = await Start.begin({ call, error, when: String(number) });
      const outcome = await outcomeOf(start);
      expect(start.trace.log.injected).toBe(1);
      expect(allowed, `${call} ${number} of ${String(numbers)}`).toContain(outcome);
    }
  });
});
