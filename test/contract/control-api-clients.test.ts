// Clients of the control socket that are rude, slow, lost or strangers: each is told what is wrong
// and let go, and nothing else notices.

import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container, type TcpService } from '../helpers/container.js';
import { openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, nextText } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { Controlled, RawClient } from './helpers/control.js';
import { isWithoutStrangers, sendAsStranger } from './helpers/stranger.js';

let container: Container;
let echo: TcpService;
let controlled: Controlled;
let hostPort: number;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
});
afterAll(() => container.stop());
beforeEach(async () => {
  controlled = new Controlled(`/proc/${container.pid}/ns/net`);
  hostPort = (await controlled.forwarder.add(`127.0.0.1:0:${echo.port}`)).host.port;
});
afterEach(() => controlled[Symbol.asyncDispose]());

/** Sends it and gives all that comes back up to the end of the connection. */
async function exchange(data: string | Buffer, withinMs?: number): Promise<string> {
  const client = new RawClient(controlled.path);
  client.socket.write(data);
  return client.whole(withinMs);
}

/** The status and the message of an answer. */
function told(text: string): { status: number; message: string } {
  const status = Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1]);
  const { message } = JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as { message: string };
  return { status, message };
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const isWell = async () => (await controlled.call('GET', '/v1/info')).status === 200;

describe('an invalid call', () => {
  test.each<[what: string, data: string | Buffer, status: number, message: RegExp]>([
    ['bytes', Buffer.from(Array.from({ length: 256 }, (_, index) => index)), 400, /not HTTP/],
    ['a TLS greeting', Buffer.from('16030100c8010000c40303', 'hex'), 400, /not HTTP/],
    ['a version that there is not', 'GET / HTTP/9.9\r\n\r\n', 400, /not HTTP/],
    ['a method that there is not', 'FETCH / HTTP/1.1\r\n\r\n', 400, /not HTTP/],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      /HTTP/,
    ],
    ['a wish for a proxy', 'CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n', 405, /not a proxy/],
    ['headers without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, 431, /too long/],
    ['another path', get('/v2/ports'), 404, /there is no \/v2\/ports/],
    ['a path that climbs', get('/v1/../../etc/passwd'), 404, /there is no/],
    ['a longer path', get('/v1/ports/1/2'), 404, /there is no/],
    ['a slash too many', get('/v1/ports/'), 404, /there is no/],
    ['a path that is none', get('//['), 400, /URL/],
    ['a query that is unknown', get('/v1/sessions?of=1'), 400, /query has unknown fields: of/],
    ['an id that is none', 'DELETE /v1/ports/x HTTP/1.1\r\nHost: x\r\n\r\n', 400, /bad id x/],
    [
      'an id that nobody has',
      'DELETE /v1/ports/0 HTTP/1.1\r\nHost: x\r\n\r\n',
      400,
      /unknown id: 0/,
    ],
    ['a forward that is none', get('/v1/forwards/x'), 400, /bad id x/],
    [
      'a forward that nobody has',
      'DELETE /v1/forwards/0 HTTP/1.1\r\nHost: x\r\n\r\n',
      404,
      /unknown id: 0/,
    ],
    ['the sessions of a forward that is gone', get('/v1/sessions?forwardId=99'), 404, /id: 99/],
    [
      'a new target for a forward that is gone',
      'PATCH /v1/forwards/99 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}',
      404,
      /unknown id: 99/,
    ],
  ])('gets an answer that says what is wrong: %s', async (_, data, status, message) => {
    expect(told(await exchange(data))).toEqual({
      status,
      message: expect.stringMatching(message) as string,
    });
    expect(await isWell()).toBe(true);
  });

  test.each([
    ['PUT', '/v1/ports', 'GET, HEAD, POST'],
    ['PATCH', '/v1/ports/1', 'DELETE'],
    ['OPTIONS', '/v1/forwards/1', 'GET, HEAD, PATCH, DELETE'],
    ['POST', '/v1/sessions', 'GET, HEAD'],
    ['GET', '/v1/drain', 'POST'],
    ['TRACE', '/metrics', 'GET, HEAD'],
  ])('gets an answer with the methods that the path has: %s %s', async (method, path, allowed) => {
    const { status, headers, json } = await controlled.call(method, path);
    expect({ status, allow: headers['allow'] }).toEqual({ status: 405, allow: allowed });
    expect(json).toEqual({ message: `${path} takes ${allowed}, not ${method}` });
  });

  test.each([
    ['/v1/ports', 200],
    ['/metrics', 200],
    ['/v1/drain', 405],
    ['/nothing', 404],
  ])('gets an answer without a body if the method is HEAD: %s', async (path, status) => {
    const text = await exchange(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(text.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
    expect(text).toMatch(/^content-length: [1-9]/im);
    expect(text).toMatch(/\r\n\r\n$/);
  });

  test('is not one that lacks a Host header, or that is HTTP/1.0', async () => {
    expect(await exchange('GET /v1/ports HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchange('GET /v1/ports HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('is the only one of its connection: a second one is not carried out', async () => {
    const second = 'DELETE /v1/ports/1 HTTP/1.1\r\nHost: x\r\n\r\n';
    const text = await exchange(`${get('/v1/ports')}${second}`);
    expect(text.match(/^HTTP/gm)).toHaveLength(1);
    expect(told(text.replace(/\[.*\]/, '{}')).status).toBe(200);
    expect(await askTcp({ port: hostPort }, 'hello')).toBe('hello');
  });
});

describe('a long body', () => {
  const head = 'POST /v1/forwards HTTP/1.1\r\nHost: x\r\n';
  const mebibyte = 1024 * 1024;

  test('is rejected with the limit, whether its length was announced or not', async () => {
    const body = 'x'.repeat(mebibyte + 1);
    const lengths = [
      `Content-Length: ${body.length}\r\n\r\n${body}`,
      `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    ];
    for (const rest of lengths) {
      expect(told(await exchange(`${head}${rest}`))).toEqual({
        status: 413,
        message: `a body has at most ${mebibyte} bytes`,
      });
    }
  });

  test('is accepted if it has exactly the maximum length', async () => {
    const body = '{"specs":[]}'.padEnd(mebibyte);
    const text = await exchange(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    expect(told(text).message).toContain('body.specs');
  });

  test('is cut off when it never ends', async () => {
    const client = new RawClient(controlled.path);
    client.socket.write(`${head}Content-Length: ${1024 * mebibyte}\r\n\r\n`);
    const chunk = Buffer.alloc(mebibyte);
    let sent = 0;
    for (; sent < 64 && !client.socket.destroyed; sent++) {
      if (!client.socket.write(chunk)) {
        await Promise.race([once(client.socket, 'drain').catch(() => undefined), client.closed]);
      }
    }
    expect(sent).toBeLessThan(64);
    expect(await isWell()).toBe(true);
  });
});

describe('a slow client', () => {
  test('is disconnected after ten seconds, with the reason', async () => {
    const beginnings = [
      '',
      'GE',
      'GET /v1/info HTTP/1.1\r\nX: ',
      'POST /v1/forwards HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"spe',
    ];
    const started = performance.now();
    const clients = beginnings.map((beginning) => {
      const client = new RawClient(controlled.path);
      if (beginning !== '') client.socket.write(beginning);
      return client;
    });
    // One that always says a little more gains nothing by it.
    const chatter = setInterval(() => clients[2]?.socket.write('x'), 200);
    expect(await isWell()).toBe(true);
    for (const client of clients) {
      expect(told(await client.whole(15_000))).toEqual({
        status: 408,
        message: 'request incomplete after 10000 ms',
      });
    }
    clearInterval(chatter);
    expect(performance.now() - started).toBeGreaterThan(9_900);
  });

  test('does not delay others, until there are too many', async () => {
    const clients = Array.from({ length: 64 }, () => new RawClient(controlled.path));
    for (const { socket } of clients) socket.write('GET /');
    await until(async () => (await controlled.call('GET', '/v1/info')).status === 503, 'a refusal');
    const { json } = await controlled.call('GET', '/v1/info');
    expect(json).toEqual({ message: '64 calls are under way already' });
    for (const { socket } of clients) socket.destroy();
    await until(isWell, 'an answer');
  });
});

describe('clients that disconnect', () => {
  test('leave nothing open, at whatever point they disconnect', async () => {
    expect(await isWell()).toBe(true);
    const before = openFds();
    for (const text of ['', 'GET', get('/v1/stats'), 'POST /v1/drain HTTP/1.1\r\nHost: x\r\n']) {
      for (let round = 0; round < 50; round++) {
        const { socket } = new RawClient(controlled.path);
        socket.write(text, () => socket.destroy());
      }
    }
    await until(() => openFds() <= before, 'every descriptor is closed');
    expect(await isWell()).toBe(true);
  });
});

describe('the data plane', () => {
  test('is not disturbed by clients of the control socket', async () => {
    const steady = await connectTcp({ port: hostPort });
    const garbage = Buffer.alloc(4_096, 'garbage');
    const end = new AbortController();
    const rudeness = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!end.signal.aborted) {
          const client = new RawClient(controlled.path);
          client.socket.write(garbage);
          await Promise.race([client.closed, delay(1_000)]);
        }
      }),
    );
    const calls = (async () => {
      while (!end.signal.aborted) await controlled.call('GET', '/metrics');
    })();
    for (let round = 0; round < 100; round++) {
      expect(await askTcp({ port: hostPort }, `round ${round}`)).toBe(`round ${round}`);
      steady.write(`steady ${round}`);
      expect(await nextText(steady)).toBe(`steady ${round}`);
    }
    end.abort();
    await Promise.all([rudeness, calls]);
    steady.destroy();
    const { connectFailures, sessionsReset } = controlled.forwarder.stats();
    expect(connectFailures).toBe(0);
    expect(sessionsReset).toBeLessThanOrEqual(1);
  });
});

describe.skipIf(isWithoutStrangers('the control API with strangers'))(
  'another user at the control socket',
  () => {
    const callAsStranger = (path: string) =>
      sendAsStranger(path, 'GET /v1/ports HTTP/1.1\r\nHost: x\r\n\r\n');

    test('cannot connect', async () => {
      expect(await callAsStranger(controlled.path)).toEqual({ text: '', errorCode: 'EACCES' });
    });

    test('is rejected with the reason, even if the modes of files let it connect', async () => {
      chmodSync(controlled.folder, 0o755);
      chmodSync(controlled.path, 0o666);
      const before = openFds();
      const { text, errorCode } = await callAsStranger(controlled.path);
      expect(told(text)).toEqual({
        status: 403,
        message: 'this socket is for user 0 and root, and you are user 65534',
      });
      expect(errorCode, 'a connection that ends in order').toBe('');
      await until(() => openFds() <= before, 'every descriptor is closed');
      expect(await isWell()).toBe(true);
    });
  },
);
