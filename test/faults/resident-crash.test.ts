// The resident is killed again and again, at random moments, while containers have traffic and
// requests are under way. Nothing that a client or a container engine can see may come of it.

import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Forward, Stats } from '../../src/index.js';
import { call } from '../contract/helpers/control.js';
import { requestReload } from '../contract/helpers/reload-client.js';
import { Caller, freePort, podmanMapping, Run, shimExecutable } from '../contract/helpers/run.js';
import { Container, type TcpService } from '../helpers/container.js';
import { killResidents, residentsOf } from '../helpers/resident.js';
import { connectTcp } from '../helpers/tcp-client.js';
import { until, within } from '../helpers/wait.js';

const CONTAINERS = 4;
const KILLS = 100;
const SHORT_CLIENTS = 6;
/**
 * Longer than a resident takes to start, so that some kills come before it answers and some long
 * after.
 */
const MAX_DELAY_MS = 60;
const BLOCK_BYTES = 4_096;
const addresses = ['127.0.0.1', '127.0.0.2'] as const;

let container: Container;
let echo: TcpService;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' }, { address: addresses[0] });
  await container.tcp({ kind: 'echo' }, { address: addresses[1], port: echo.port });
});
afterAll(() => container.stop());

/** A container engine's view of one container, and what it should find there. */
class Served implements AsyncDisposable {
  readonly run: Run;
  readonly port: number;
  readonly #caller = new Caller(`/proc/${container.pid}/ns/net`);
  readonly #runtime: string;
  #address: string = addresses[0];
  #added: number | undefined;
  #sessionsTotal = 0;

  constructor(runtime: string, port: number) {
    this.#runtime = runtime;
    this.port = port;
    const mappings = [podmanMapping({ host_port: port, container_port: echo.port })];
    const config = this.#caller.config(mappings, { RootlessCNI: true });
    this.run = new Run(config, {
      command: [shimExecutable],
      env: { ...process.env, XDG_RUNTIME_DIR: runtime, SPLICEPORT_CONTROL_DIR: '' },
    });
  }

  get #control(): string {
    return join(this.#runtime, `spliceport/${this.run.pid}.sock`);
  }

  /** One of the requests that a crash may come into. */
  async request(): Promise<void> {
    const kind = randomInt(3);
    if (kind === 0) return this.#reload();
    if (kind === 1) return this.#changePorts();
    await this.#isRight();
  }

  /** Never lost: the request waits for the next resident. */
  async #reload(): Promise<void> {
    const address = addresses[randomInt(addresses.length)] ?? addresses[0];
    const path = join(this.#caller.folder, 'rp/c0ffee');
    expect(await requestReload('seqpacket', path, `"${address}"\n`)).toBe('OK');
    this.#address = address;
  }

  /**
   * A client of the control socket learns by the end of its connection that it may have to ask what
   * happened.
   */
  async #changePorts(): Promise<void> {
    const wasAdded = this.#added !== undefined;
    try {
      if (this.#added === undefined) {
        const spec = { host: { address: '127.0.0.1', port: 0 }, container: { port: echo.port } };
        const { json } = await call(this.#control, 'POST', '/v1/forwards', { specs: [spec] });
        this.#added = (json as Forward[])[0]?.id;
      } else {
        await call(this.#control, 'DELETE', `/v1/forwards/${this.#added}`);
        this.#added = undefined;
      }
    } catch {
      const extra = (await this.#forwards()).filter(({ id }) => id > 1);
      this.#added = extra[0]?.id;
      expect(extra.length).toBeLessThanOrEqual(1);
      expect([wasAdded, !wasAdded]).toContain(extra.length === 1);
    }
  }

  /** What the API says is what has been done, whoever did it. */
  async #isRight(): Promise<void> {
    const forwards = await this.#forwards();
    expect(forwards.map(({ id }) => id)).toEqual([
      1,
      ...(this.#added === undefined ? [] : [this.#added]),
    ]);
    expect(forwards[0]?.container).toEqual({ address: this.#address, port: echo.port });
    const { total } = (await this.#ask('/v1/stats')) as { total: Stats };
    expect(total.sessionsTotal).toBeGreaterThanOrEqual(this.#sessionsTotal);
    this.#sessionsTotal = total.sessionsTotal;
  }

  /** To be called when nobody kills any more. */
  check(): Promise<void> {
    return this.#isRight();
  }

  async #forwards(): Promise<Forward[]> {
    return (await this.#ask('/v1/forwards')) as Forward[];
  }

  /** Reads are repeated, as the command line does. */
  async #ask(path: string): Promise<unknown> {
    return until(
      () =>
        call(this.#control, 'GET', path).then(
          ({ status, json }) => (status === 200 ? json : undefined),
          () => undefined,
        ),
      `an answer to ${path}`,
      20_000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run[Symbol.asyncDispose]();
    this.#caller[Symbol.dispose]();
  }
}

/** Traffic that goes on until it is told to stop. */
class Load {
  connections = 0;
  readonly failures: string[] = [];
  #isOver = false;
  readonly #ports: readonly number[];

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  run(): Promise<unknown> {
    const shorts = Array.from({ length: SHORT_CLIENTS }, (_, index) => this.#short(index));
    return Promise.all([...shorts, ...this.#ports.map((port) => this.#live(port))]);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** New connections one after the other; each must come back with what it sent. */
  async #short(index: number): Promise<void> {
    for (let count = index; !this.#isOver; count++) {
      const port = this.#ports[count % this.#ports.length] ?? 0;
      await this.#attempt(`connection ${count} to ${port}`, async () => {
        const socket = await connectTcp({ port });
        await this.#exchange(socket, randomBytes(64));
        socket.destroy();
        this.connections += 1;
      });
    }
  }

  /** One connection from the first kill to the last. */
  async #live(port: number): Promise<void> {
    await this.#attempt(`the live connection to ${port}`, async () => {
      const socket = await connectTcp({ port });
      while (!this.#isOver) await this.#exchange(socket, randomBytes(BLOCK_BYTES));
      socket.destroy();
    });
  }

  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await within(work(), what, 120_000);
    } catch (error) {
      this.failures.push(`${what}: ${String(error)}`);
    }
  }

  async #exchange(socket: Socket, block: Buffer): Promise<void> {
    socket.write(block);
    const chunks: Buffer[] = [];
    for (let bytes = 0; bytes < block.length;) {
      const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })) as [
        Buffer,
      ];
      chunks.push(chunk);
      bytes += chunk.length;
    }
    if (!Buffer.concat(chunks).equals(block)) throw new Error('other bytes came back');
  }
}

let runtime: string;
let served: Served[] = [];

beforeEach(async () => {
  runtime = mkdtempSync(join(tmpdir(), 'spliceport-crash-'));
  served = [];
  for (let index = 0; index < CONTAINERS; index++) {
    const one = new Served(runtime, await freePort());
    served.push(one);
    await one.run.ready();
  }
});
afterEach(async () => {
  await Promise.all(served.map((one) => one[Symbol.asyncDispose]()));
  killResidents(runtime);
  rmSync(runtime, { recursive: true, force: true });
});

test(`${KILLS} kills of the resident cut nothing, refuse nobody, and lose no state`, async () => {
  const load = new Load(served.map(({ port }) => port));
  const traffic = load.run();
  let kills = 0;
  while (kills < KILLS) {
    const requests = served.map((one) => one.request());
    await delay(randomInt(MAX_DELAY_MS));
    kills += killResidents(runtime);
    await within(Promise.all(requests), 'requests during a kill', 30_000);
    expect(residentsOf(runtime).length).toBeLessThanOrEqual(1);
  }
  for (const one of served) await one.check();
  load.stop();
  await traffic;
  expect(load.failures).toEqual([]);
  expect(load.connections).toBeGreaterThan(KILLS);
});
