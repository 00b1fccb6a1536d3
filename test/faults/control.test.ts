// Calls of the main thread that fail after the helper is ready: a request may be refused, and
// nothing more. The port goes on, both sockets answer again, and the helper still ends when its
// caller lets it go.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call } from '../contract/helpers/control.js';
import { requestReload } from '../contract/helpers/reload-client.js';
import { Caller, freePort, Run } from '../contract/helpers/run.js';
import { Container, type TcpService } from '../helpers/container.js';
import { isAlive } from '../helpers/process-facts.js';
import { askTcp, isRefused } from '../helpers/tcp-client.js';
import { isMissing } from '../helpers/tools.js';
import { until, within } from '../helpers/wait.js';
import { Attached, strace, type Fault } from './helpers/strace.js';

const table: readonly (readonly [call: string, errors: readonly string[]])[] = [
  ['epoll_ctl', ['ENOSPC', 'ENOMEM']],
  ['accept4', ['EMFILE', 'ENOMEM', 'EPERM']],
  ['getsockname', ['ENOBUFS']],
  ['getsockopt', ['ENOBUFS']],
  ['ioctl', ['EIO']],
  ['fcntl', ['EPERM']],
  ['recvfrom', ['ENOMEM', 'EIO']],
  ['sendto', ['ENOBUFS', 'EPIPE']],
];

/**
 * Where these fail, Node's own last steps abort the process; by then there is nothing left to do.
 */
const abortsNode = new Set(['epoll_ctl', 'fcntl']);

const PATIENCE_MS = 1_500;

let container: Container;
let echo: TcpService;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
});
afterAll(() => container.stop());

/** A helper with both sockets, and its clients. */
class Helper implements AsyncDisposable {
  readonly caller = new Caller(`/proc/${container.pid}/ns/net`);
  readonly #control = join(this.caller.folder, 'control');
  readonly run: Run;
  readonly port: number;

  constructor(port: number) {
    this.port = port;
    const mapping = { host_port: port, container_port: echo.port, range: 1, protocol: 'tcp' };
    this.run = new Run(this.caller.config([mapping], { RootlessCNI: true }), {
      env: { ...process.env, SPLICEPORT_CONTROL_DIR: this.#control },
    });
  }

  reload(): Promise<string> {
    const path = join(this.caller.folder, 'rp', 'c0ffee');
    return requestReload('seqpacket', path, '"127.0.0.1"\n');
  }

  async list(): Promise<number> {
    const [name = ''] = readdirSync(this.#control).filter((file) => file.endsWith('.sock'));
    const { status } = await call(join(this.#control, name), 'GET', '/v1/forwards');
    return status;
  }

  /** A request to each socket, whatever comes of it; what is not accepted gets no answer. */
  async ask(): Promise<void> {
    await Promise.allSettled([
      within(this.reload(), 'a reply', PATIENCE_MS),
      within(this.list(), 'a reply', PATIENCE_MS),
    ]);
  }

  /** Both sockets answer as they should. */
  isWell = async (): Promise<boolean> => {
    const [reply, status] = await Promise.all([
      this.reload().catch(String),
      this.list().catch(() => 0),
    ]);
    return reply === 'OK' && status === 200;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run[Symbol.asyncDispose]();
    this.caller[Symbol.dispose]();
  }
}

describe.skipIf(isMissing(strace, 'tests of calls that fail'))('an answering helper', () => {
  const faults: Fault[] = table.flatMap(([name, errors]) =>
    errors.map((error) => ({ call: name, error, when: '1+' })),
  );
  test.each(faults)('rejects at most one request when $call fails with $error', async (fault) => {
    await using helper = new Helper(await freePort());
    const { run, port } = helper;
    await run.ready();
    await until(helper.isWell, 'both sockets');
    {
      await using trace = await Attached.to(run.pid, 'main', fault);
      await helper.ask();
      expect(await askTcp({ port }, 'hello')).toBe('hello');
      // A call that goes on failing is not made again and again.
      expect(trace.log.injected).toBeLessThan(4_000);
    }
    expect(isAlive(run.pid)).toBe(true);
    await until(helper.isWell, 'both sockets, once calls succeed', 20_000);
    expect(await run.letGo()).toMatchObject({ code: 0, signal: null });
    expect(await isRefused({ port })).toBe(true);
    expect(helper.caller.files().filter((file) => file.startsWith('rp/'))).toEqual([]);
  });

  test.each(table.flatMap(([name, errors]) => errors.map((error) => ({ call: name, error }))))(
    'still exits when $call fails with $error',
    async (fault) => {
      await using helper = new Helper(await freePort());
      const { run, port } = helper;
      await run.ready();
      await until(helper.isWell, 'both sockets');
      await using trace = await Attached.to(run.pid, 'main', { ...fault, when: '1+' });
      await helper.ask();
      const { code, signal } = await run.letGo();
      const mayAbort = abortsNode.has(fault.call) && signal === 'SIGABRT';
      expect({ code, signal }).toEqual(
        mayAbort ? { code: null, signal } : { code: 0, signal: null },
      );
      expect(await isRefused({ port })).toBe(true);
      expect(helper.caller.files().filter((file) => file.startsWith('rp/'))).toEqual([]);
      expect(trace.log.injected).toBeLessThan(4_000);
    },
  );
});
