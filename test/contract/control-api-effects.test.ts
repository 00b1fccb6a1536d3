// What the calls of the control API do to a forwarder, and what they tell of it.

import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { Forward, Session, StatsReport } from '../../src/control/control-types.js';
import {
  askTcp,
  connectTcp,
  endingOf,
  isRefused,
  isServed,
  nextText,
} from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { Controlled } from './helpers/control.js';
import { freePort } from './helpers/run.js';
import { useControlled } from './helpers/use-controlled.js';

const fixture = useControlled();

/** Waits until it has no forward any more; a client that tried would be one that drains. */
async function isFree({ forwarder }: Controlled): Promise<void> {
  await until(() => forwarder.list().length === 0, 'the forward is gone');
}

const where = () => ({ port: fixture.forward.host.port });

describe('a call of the control API', () => {
  test('adds all ports of a range, or none', async () => {
    const taken = fixture.forward.host.port;
    const specs = ['127.0.0.1:0:80', `127.0.0.1:${taken}:80`];
    const refused = await fixture.controlled.call('POST', '/v1/forwards', { specs });
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ code: 'ERR_SPLICEPORT_ALREADY_FORWARDED' });
    expect(fixture.controlled.forwarder.list()).toHaveLength(1);

    const { json } = await fixture.controlled.call('POST', '/v1/forwards', {
      specs: [`127.0.0.1:0:${fixture.echo.port}`],
    });
    const [added] = json as Forward[];
    expect(await askTcp({ port: added?.host.port ?? 0 }, 'hello')).toBe('hello');
  });

  test('reports with a hint what the system rejects', async () => {
    const { status, json } = await fixture.controlled.call('POST', '/v1/forwards', {
      specs: ['192.0.2.1:1:80'],
    });
    expect({ status, json }).toMatchObject({
      status: 409,
      json: { code: 'EADDRNOTAVAIL', hint: expect.stringContaining('192.0.2.1') as string },
    });
  });

  // RootlessKit passes over the query of its own call.
  const atOnce = ['/v1/forwards/1', '/v1/ports/1', '/v1/ports/1?drainMs=60000'];
  test.each(atOnce)('removes a forward and its sessions at once: DELETE %s', async (path) => {
    const client = await connectTcp(where());
    client.write('hello');
    expect(await nextText(client)).toBe('hello');
    expect((await fixture.controlled.call('DELETE', path)).status).toBe(200);
    expect(await isRefused(where())).toBe(true);
    await endingOf(client);
  });

  test('removes a forward when its sessions have ended, if it gives a time to drain', async () => {
    const client = await connectTcp(where());
    client.write('hello');
    expect(await nextText(client)).toBe('hello');
    const removed = fixture.controlled.call('DELETE', '/v1/forwards/1?drainMs=60000');
    await isFree(fixture.controlled);
    expect(await isRefused(where())).toBe(true);
    client.write('again');
    expect(await nextText(client)).toBe('again');
    client.end();
    expect((await removed).status).toBe(200);
    client.destroy();
  });

  test('changes the target of a forward without a gap', async () => {
    const other = await fixture.container.tcp({ kind: 'greet', text: 'other' });
    const { json } = await fixture.controlled.call('PATCH', '/v1/forwards/1', { port: other.port });
    expect(json).toEqual({
      ...fixture.forward,
      container: { ...fixture.forward.container, port: other.port },
    });
    expect(await askTcp(where())).toBe('other');
    expect((await fixture.controlled.call('GET', '/v1/forwards/1')).json).toEqual(json);
    await other.close();
  });

  test('lists sessions and counters', async () => {
    const client = await connectTcp(where());
    client.write('hello');
    expect(await nextText(client)).toBe('hello');
    const [session] = (await fixture.controlled.call('GET', '/v1/sessions')).json as Session[];
    expect(session).toMatchObject({
      forwardId: 1,
      target: { address: '127.0.0.1', port: fixture.echo.port },
      state: 'open',
      bytesToContainer: 5,
      bytesToHost: 5,
    });
    expect(session?.client.port).toBe(client.localPort);
    const other = await fixture.controlled.forwarder.add('127.0.0.1:0:80');
    const ofOther = await fixture.controlled.call('GET', `/v1/sessions?forwardId=${other.id}`);
    expect(ofOther.json).toEqual([]);
    const { total, forwards } = (await fixture.controlled.call('GET', '/v1/stats'))
      .json as StatsReport;
    expect(total).toMatchObject({ sessionsOpen: 1, bytesToContainer: 5 });
    expect(forwards.map(({ id, stats }) => [id, stats.bytesToHost])).toEqual([
      [1, 5],
      [other.id, 0],
    ]);
    client.destroy();
  });

  test('passes over what RootlessKit does not know in a port, limits included', async () => {
    const port = await freePort();
    const spec = {
      proto: 'tcp',
      parentIP: '127.0.0.1',
      parentPort: port,
      childPort: fixture.echo.port,
    };
    const limits = { maxSessions: 0, deny: ['127.0.0.1'] };
    const { status, json } = await fixture.controlled.call('POST', '/v1/ports', {
      ...spec,
      ...limits,
    });
    expect({ status, json }).toEqual({ status: 201, json: { id: 2, spec } });
    expect(await isServed({ port })).toBe(true);
  });

  test('limits the clients of an added forward, and counts the rejected ones', async () => {
    const port = await freePort();
    const spec = {
      host: { address: '127.0.0.1', port },
      container: { port: fixture.echo.port },
      ...{ maxSessions: 7, maxSessionsPerSecond: 7, deny: ['127.0.0.1'] },
    };
    const { status } = await fixture.controlled.call('POST', '/v1/forwards', { specs: [spec] });
    expect(status).toBe(201);
    expect(await isServed({ port })).toBe(false);
    const { forwards } = (await fixture.controlled.call('GET', '/v1/stats')).json as StatsReport;
    expect(forwards[1]?.stats).toMatchObject({ sessionsDenied: 1, sessionsTotal: 0 });
    const { text } = await fixture.controlled.call('GET', '/metrics');
    const own = `forward="2",protocol="tcp",host="127.0.0.1:${port}",reason="denied"`;
    const labels = `${own},forwarder="${process.pid}",container="c0ffee"`;
    expect(text).toContain(`\nspliceport_sessions_refused_total{${labels}} 1\n`);
  });

  test('shows what the process reported about itself', async () => {
    expect((await fixture.controlled.call('GET', '/v1/forwarder')).json).toMatchObject({
      pid: process.pid,
      program: 'test',
      container: { id: 'c0ffee', pid: fixture.container.pid },
      notices: ['a notice'],
      draining: false,
    });
    expect((await fixture.controlled.call('GET', '/v1/info')).json).toMatchObject({
      childPID: fixture.container.pid,
      stateDir: fixture.controlled.folder,
    });
  });
});

describe('a drain by the control API', () => {
  test('lets sessions end, reports progress meanwhile, and then answers', async () => {
    const client = await connectTcp(where());
    client.write('hello');
    expect(await nextText(client)).toBe('hello');
    const drained = fixture.controlled.call('POST', '/v1/drain', { drainMs: 60_000 });
    await isFree(fixture.controlled);
    expect((await fixture.controlled.call('GET', '/v1/forwarder')).json).toMatchObject({
      draining: true,
    });
    client.end('bye');
    await endingOf(client);
    const { status, json } = await drained;
    expect(status).toBe(200);
    expect(json).toMatchObject({ forwards: 1, sessions: 1 });
    expect((json as { tookMs: number }).tookMs).toBeLessThan(60_000);
    expect((await fixture.controlled.call('GET', '/v1/forwarder')).json).toMatchObject({
      draining: false,
    });
  });

  test('cuts open sessions when its time is over', async () => {
    const client = await connectTcp(where());
    client.write('hello');
    expect(await nextText(client)).toBe('hello');
    const { json } = await fixture.controlled.call('POST', '/v1/drain', { drainMs: 50 });
    expect((json as { tookMs: number }).tookMs).toBeGreaterThanOrEqual(49);
    await endingOf(client);
  });

  test.each([true, false])(
    'notifies the process after the answer; somebody waits for the answer: %s',
    async (waits) => {
      let told = 0;
      await using own = new Controlled(`/proc/${fixture.container.pid}/ns/net`, {
        onDrained: () => (told += 1),
      });
      const { host } = await own.forwarder.add(`127.0.0.1:0:${fixture.echo.port}`);
      const client = await connectTcp({ port: host.port });
      await until(() => own.forwarder.sessions().length, 'a session');
      const abort = new AbortController();
      const answer = fetchDrain(own.path, abort.signal);
      await isFree(own);
      if (!waits) {
        abort.abort();
        await expect(answer).rejects.toThrow();
      }
      expect(told).toBe(0);
      client.destroy();
      if (waits) await answer;
      await until(() => told > 0, 'the process is told');
      expect(told).toBe(1);
    },
  );
});

function fetchDrain(socketPath: string, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const started = request({ socketPath, method: 'POST', path: '/v1/drain', signal });
    started.once('response', (response) => response.resume().once('end', resolve));
    started.once('error', reject);
    started.end('{"drainMs":60000}');
  });
}
