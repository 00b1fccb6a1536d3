import { describe, expect, test } from 'vitest';
import type { Forward, Stats } from '../../src/index.js';
import { Troubles } from '../../src/log/troubles.js';

type Counts = Partial<Stats>;

/** A forwarder of which only the counters are real. */
class Counted {
  readonly counts = new Map<number, Counts>();

  list(): Forward[] {
    return [...this.counts.keys()].map((id) => ({
      id,
      protocol: 'tcp',
      host: { address: '127.0.0.1', port: 8_000 + id, dualStack: false },
      container: { address: '::1', port: id },
      netnsPath: '/proc/1/ns/net',
      sourceAddress: 'container',
    }));
  }

  stats(id?: number): Stats {
    const chosen = id === undefined ? [...this.counts.values()] : [this.counts.get(id) ?? {}];
    return new Proxy({} as Stats, {
      get: (_, key: keyof Stats) =>
        key === 'connectError'
          ? chosen.find((counts) => counts.connectError !== undefined)?.connectError
          : chosen.reduce((sum, counts) => sum + Number(counts[key] ?? 0), 0),
    });
  }
}

const INTERVAL_MS = 60_000;

function watched() {
  const forwarder = new Counted();
  return { counts: forwarder.counts, troubles: new Troubles(forwarder, INTERVAL_MS) };
}

describe('failed connects in the log', () => {
  test('are reported at once, then summed up for an interval', async () => {
    const { counts, troubles } = watched();
    expect(await troubles.due(1_000)).toBeUndefined();
    counts.set(1, { connectFailures: 1, connectError: 'ECONNREFUSED' });
    expect((await troubles.due(2_000))?.message).toBe(
      '1 connection to the container failed (tcp 127.0.0.1:8001 -> [::1]:1: connection refused (ECONNREFUSED))',
    );
    counts.set(1, { connectFailures: 3 });
    expect(await troubles.due(2_000 + INTERVAL_MS - 1)).toBeUndefined();
    expect((await troubles.due(2_000 + INTERVAL_MS))?.message).toMatch(/^2 connections /);
    expect(await troubles.due(2_000 + 3 * INTERVAL_MS)).toBeUndefined();
  });

  test('name the forwards that failed since the last report, and why', async () => {
    const { counts, troubles } = watched();
    counts.set(1, { connectFailures: 1, connectTimeouts: 1 }).set(2, { connectFailures: 0 });
    expect((await troubles.rest())?.message).toMatch(/8001 -> \[::1\]:1: no answer in time\)$/);
    counts.set(2, { connectFailures: 2, connectTimeouts: 1, connectError: 'ENETUNREACH' });
    const trouble = await troubles.rest();
    expect(trouble?.message).toMatch(
      /\(tcp \S+8002 -> .*: network is unreachable \(ENETUNREACH\), or no answer in time\)$/,
    );
    expect(trouble?.facts).toMatchObject({
      connectFailures: 2,
      failedForwards: [{ id: 2, connectError: 'ENETUNREACH', connectTimeouts: 1 }],
    });
  });

  test('name a cause once, not again if there are only timeouts', async () => {
    const { counts, troubles } = watched();
    counts.set(1, { connectFailures: 1, connectError: 'ECONNREFUSED' });
    expect((await troubles.rest())?.message).toMatch(/ECONNREFUSED/);
    counts.set(1, { connectFailures: 2, connectTimeouts: 1, connectError: 'ECONNREFUSED' });
    expect((await troubles.rest())?.message).toMatch(/::1]:1: no answer in time\)$/);
  });

  test('name only a few forwards if many fail', async () => {
    const { counts, troubles } = watched();
    for (let id = 1; id <= 5; id += 1) {
      counts.set(id, { connectFailures: 1, connectError: 'ECONNREFUSED' });
    }
    expect((await troubles.rest())?.message).toMatch(/8003 -> [^;]*; and 2 more\)$/);
  });

  test('name no forward if none failed', async () => {
    const { counts, troubles } = watched();
    counts.set(1, { sessionsDenied: 1, datagramsDropped: 2 });
    expect(await troubles.rest()).toEqual({
      facts: { datagramsDropped: 2, sessionsDenied: 1 },
      message: '2 datagrams dropped, 1 client rejected by allow and deny',
    });
  });
});
