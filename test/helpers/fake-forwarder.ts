// fake-forwarder.ts: a control socket with any number of forwards and sessions behind it, and no
// traffic. What it tells is in its fields, which a test may change.

import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Forward, ForwarderInfo, Session, Stats } from '../../src/control/control-types.js';
import { counters } from '../../src/spec/counters.js';

/** Counters, all zero but those given. */
export function statsWith(some: Partial<Stats>): Stats {
  const zeros = Object.entries(counters).flatMap(([name, row]) =>
    'type' in row ? [] : [[name, 0] as const],
  );
  return { ...(Object.fromEntries(zeros) as unknown as Stats), connectLatency: [], ...some };
}

/** A forward to port 80 of a container. */
export function forwardWith(some: Partial<Forward> & { readonly id: number }): Forward {
  return {
    protocol: 'tcp',
    host: { address: '127.0.0.1', port: 8_000 + some.id, dualStack: false },
    container: { address: '127.0.0.1', port: 80 },
    netnsPath: '/run/netns/web',
    sourceAddress: 'container',
    ...some,
  };
}

/** A session of a forward, with a client for each number. */
export function sessionWith(number: number, some: Partial<Session> = {}): Session {
  return {
    forwardId: 1,
    protocol: 'tcp',
    client: {
      address: `10.0.${(number >> 8) & 255}.${number & 255}`,
      port: 40_000 + (number % 20_000),
    },
    target: { address: '127.0.0.1', port: 80 },
    source: { address: '127.0.0.1', port: 30_000 + (number % 30_000) },
    state: 'open',
    bytesToContainer: 0,
    bytesToHost: 0,
    ageMs: 1_000,
    ...some,
  };
}

/** One that answers until it is disposed. */
export class FakeForwarder implements AsyncDisposable {
  info: Partial<ForwarderInfo> = {};
  forwards: Forward[] = [];
  stats = new Map<number, Stats>();
  sessions: Session[] = [];
  /** How often it was asked anything. */
  calls = 0;
  readonly #pid: number;
  readonly #server: Server;
  readonly #socketPath: string;
  readonly #startedAtMs = performance.now();

  private constructor(folder: string, pid: number) {
    this.#pid = pid;
    this.#socketPath = `${folder}/${pid}.sock`;
    this.#server = createServer((request, response) => {
      this.calls += 1;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(this.#answer((request.url ?? '').replace(/\?.*/, ''))));
    });
  }

  /** @param pid - The name of its socket; no process. */
  static async start(folder: string, pid: number): Promise<FakeForwarder> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const fake = new FakeForwarder(folder, pid);
    fake.#server.listen(fake.#socketPath);
    await once(fake.#server, 'listening');
    return fake;
  }

  /** Makes forwards with ids from 1. */
  setForwards(number: number): void {
    this.forwards = Array.from({ length: number }, (_, index) => forwardWith({ id: index + 1 }));
  }

  #answer(path: string): unknown {
    if (path === '/v1/forwarder') {
      return {
        version: '0.1.0',
        pid: this.#pid,
        program: 'rootlessport',
        uptimeMs: Math.round(performance.now() - this.#startedAtMs),
        draining: false,
        notices: [],
        ...this.info,
      } satisfies ForwarderInfo;
    }
    if (path === '/v1/forwards') return this.forwards;
    if (path === '/v1/sessions') {
      const elapsedMs = performance.now() - this.#startedAtMs;
      return this.sessions.map((each) => ({ ...each, ageMs: each.ageMs + elapsedMs }));
    }
    return {
      total: statsWith({}),
      forwards: this.forwards.map(({ id }) => ({ id, stats: this.stats.get(id) ?? statsWith({}) })),
      connectLatencyBucketsMicros: [],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.#socketPath, { force: true });
  }
}
