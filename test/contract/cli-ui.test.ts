// `spliceport ui` without a browser: whom it serves, what it refuses, and that it asks nobody while
// nobody looks.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { News } from '../../src/page/page-messages.js';
import { FakeForwarder, sessionWith, statsWith } from '../helpers/fake-forwarder.js';
import { settled, staysTrueFor, until } from '../helpers/wait.js';
import { cli, CliRun, controlFolder } from './helpers/cli.js';

/** A page that runs, and its address. */
async function startUi(...args: readonly string[]): Promise<CliRun & { readonly url: URL }> {
  const run = new CliRun(['ui', '--no-open', ...args], { env: { DISPLAY: '' } });
  const [, url = ''] = await run.until(() => /^(http:\S+)\n/.exec(run.stdout), 'its address');
  return Object.assign(run, { url: new URL(url) });
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Not fetch(), which sets the headers that this is about itself. */
async function ask(url: URL, { method = 'GET', headers = {}, body }: Asked = {}) {
  const call = request(url, { method, headers: { host: url.host, ...headers }, agent: false });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return { status: response.statusCode, headers: response.headers, text };
}

/** Exchanges the token for a cookie. */
async function cookieOf(url: URL): Promise<string> {
  const { headers } = await ask(url);
  return headers['set-cookie']?.[0]?.split(';')[0] ?? '';
}

/** News until `leave` is called. */
async function follow(url: URL, cookie: string, path = '/news') {
  const news: News[] = [];
  const call = request(new URL(path, url), { headers: { cookie }, agent: false });
  call.on('error', () => undefined);
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let rest = '';
  response.on('error', () => undefined);
  response.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n\n');
    rest = parts.pop() ?? '';
    news.push(...parts.map((part) => JSON.parse(part.replace(/^data: /, '')) as News));
  });
  return { news, leave: () => call.destroy() };
}

let run: CliRun & { readonly url: URL };

describe('spliceport ui', () => {
  test('prints an address of the loopback with a token, and ends at a signal', async () => {
    run = await startUi();
    expect(run.url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
    expect(await run.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('reports a port that is taken, and by whom', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await cli(['ui', '--no-open', '--listen', at]);
    server.close();
    expect(code).toBe(5);
    expect(stderr).toContain(`spliceport: cannot listen on ${at}: the port is in use\n`);
    expect(stderr).toContain(`Process ${process.pid} uses port`);
    expect(stderr).toContain('Is "spliceport ui" running already?');
  });

  test('warns if others on the network can read what goes over it', async () => {
    await using other = await startUi('--listen', '0.0.0.0:0');
    await other.until(() => other.stderr.includes('SSH tunnel'), 'a warning');
  });

  test('opens the browser where there is a display, unless told not to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spliceport-ui-'));
    const opened = join(folder, 'opened');
    writeFileSync(opened, '');
    writeFileSync(join(folder, 'xdg-open'), `#!/bin/sh\necho "$@" >> ${opened}\n`);
    chmodSync(join(folder, 'xdg-open'), 0o755);
    const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, DISPLAY: ':0' };
    try {
      await using opening = new CliRun(['ui'], { env });
      await until(() => readFileSync(opened, 'utf8'), 'xdg-open is run');
      expect(readFileSync(opened, 'utf8')).toBe(opening.stdout);
      await using silent = new CliRun(['ui', '--no-open'], { env });
      await silent.until(() => silent.stdout, 'its address');
      await silent.end();
      expect(readFileSync(opened, 'utf8')).toBe(opening.stdout);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the page', () => {
  beforeEach(async () => {
    run = await startUi();
  });
  afterEach(() => run[Symbol.asyncDispose]());

  test('comes with a cookie for its token, which works once', async () => {
    const first = await ask(run.url);
    expect(first.status).toBe(200);
    expect(first.text).toContain('<title>spliceport</title>');
    const [cookie = ''] = first.headers['set-cookie'] ?? [];
    expect(cookie).toMatch(
      /^spliceport-\d+=[\w-]{32}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=/,
    );
    const again = await ask(run.url);
    expect(again.status).toBe(401);
    expect(again.headers['set-cookie']).toBeUndefined();
    const [pair = ''] = cookie.split(';');
    expect((await ask(new URL('/', run.url), { headers: { cookie: pair } })).status).toBe(200);
  });

  test.each([
    ['no token', '/'],
    ['a wrong token', '/?token=wrong'],
  ])('is refused with %s, with what to do', async (_, path) => {
    const { status, text } = await ask(new URL(path, run.url));
    expect(status).toBe(401);
    expect(text).toContain('Run "spliceport ui" again');
    expect(text).not.toContain('<script');
  });

  test('may run and load nothing but what is in it, and be in no frame', async () => {
    const { headers, text } = await ask(run.url);
    const policy = headers['content-security-policy'] ?? '';
    expect(policy).toMatch(
      /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+';/,
    );
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers).toMatchObject({
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    expect(text).not.toMatch(/(?:src|href)="?https?:/);
  });

  test('is not shown to another user of the machine who has seen the address', async () => {
    const program = `fetch(process.argv[1]).then(({status}) => console.log(status))`;
    const stranger = spawn('setpriv', [
      ...['--reuid=54321', '--regid=54321', '--clear-groups'],
      ...[process.execPath, '-e', program, run.url.href],
    ]);
    const [answer] = (await once(stranger.stdout, 'data')) as [Buffer];
    expect(String(answer).trim()).toBe('403');
    expect((await ask(run.url)).status).toBe(200);
  });
});

describe('data and actions', () => {
  let cookie: string;
  beforeAll(async () => {
    run = await startUi();
    cookie = await cookieOf(run.url);
  });
  afterAll(() => run[Symbol.asyncDispose]());

  const news = () => new URL('/news', run.url);
  const actions = () => new URL('/actions', run.url);

  test('are refused without the cookie', async () => {
    expect((await ask(news())).status).toBe(401);
    const origin = run.url.origin;
    expect((await ask(actions(), { method: 'POST', headers: { origin }, body: '{}' })).status).toBe(
      401,
    );
    const wrong = cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    expect((await ask(news(), { headers: { cookie: wrong } })).status).toBe(401);
  });

  test.each([
    ['a page of another site', { origin: 'http://example.com' }],
    ['a page of another port', { origin: 'http://127.0.0.1:1' }],
    ['a page in a sandbox', { origin: 'null' }],
    ['an image of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a page of the same site on another port', { 'sec-fetch-site': 'same-site' }],
    ['a name that was made to lead here', { host: 'evil.example' }],
  ])('are refused to %s', async (_, headers) => {
    const own = { cookie, ...headers };
    expect((await ask(news(), { headers: own })).status).toBe(403);
    const withOrigin = { origin: run.url.origin, ...own };
    const posted = await ask(actions(), { method: 'POST', headers: withOrigin, body: '{}' });
    expect(posted.status).toBe(403);
  });

  test('are refused to what changes something and names no origin', async () => {
    const posted = await ask(actions(), { method: 'POST', headers: { cookie }, body: '{}' });
    expect(posted.status).toBe(403);
  });

  test.each([
    ['not JSON', '{', 'the request is not JSON'],
    ['an unknown action', '{"do":"explode"}', 'there is no such action'],
    ['a name that every object has', '{"do":"constructor"}', 'there is no such action'],
    ['a missing field', '{"do":"remove","forward":"1/1"}', '"drainSeconds" is missing or invalid'],
    ['a field of another type', '{"do":"retarget","forward":1}', '"forward" is missing or invalid'],
    [
      'a forwarder that is not there',
      '{"do":"drain","forwarder":"1","drainSeconds":0}',
      'no forwarder 1 is running',
    ],
  ])('explain %s', async (_, body, message) => {
    const headers = { cookie, origin: run.url.origin };
    const { status, text } = await ask(actions(), { method: 'POST', headers, body });
    expect({ status, ...(JSON.parse(text) as object) }).toMatchObject({ status: 400, message });
  });

  test('are served through a tunnel that has another port', async () => {
    const headers = { cookie, host: 'localhost:1', origin: 'http://localhost:1' };
    const { status } = await ask(actions(), { method: 'POST', headers, body: '{}' });
    expect(status).toBe(400);
  });
});

describe('the news', () => {
  let fake: FakeForwarder;
  let cookie: string;
  beforeAll(async () => {
    fake = await FakeForwarder.start(controlFolder, 1);
    run = await startUi();
    cookie = await cookieOf(run.url);
  });
  afterAll(async () => {
    await run[Symbol.asyncDispose]();
    await fake[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    fake.setForwards(2);
    fake.stats.clear();
    fake.sessions = [sessionWith(1), sessionWith(2)];
  });

  test('have everything first, then only what has changed', async () => {
    const { news, leave } = await follow(run.url, cookie, '/news?sessions');
    await until(() => news.find(({ sessions }) => sessions), 'sessions');
    const before = news.length;
    expect(news[0]?.forwards?.set.map(({ id }) => id)).toEqual(['1/1', '1/2']);
    expect(news[0]?.sessions?.set).toHaveLength(2);
    fake.stats.set(2, statsWith({ bytesToHost: 5 }));
    const changed = await until(
      () => news.slice(before).find(({ counters }) => counters),
      'change',
    );
    expect(changed).toEqual({
      atMs: expect.any(Number) as number,
      counters: [['1/2', { bytesToHost: 5 }]],
    });
    fake.sessions = [sessionWith(1, { bytesToHost: 9 })];
    const moved = await until(
      () => news.find(({ sessions }) => sessions && sessions.gone.length > 0),
      'sessions',
      20_000,
    );
    expect(moved.sessions).toMatchObject({
      set: [],
      changed: [[expect.any(String), 0, 9, 'open']],
    });
    leave();
  });

  test('have sessions only for those who ask for them', async () => {
    const { news, leave } = await follow(run.url, cookie);
    await until(() => news.length >= 3, 'news');
    expect(news.some(({ sessions }) => sessions)).toBe(false);
    leave();
  });

  test('ask forwarders only while somebody looks', async () => {
    const before = fake.calls;
    await staysTrueFor(1_200, () => fake.calls === before, 'nobody asks before');
    const { news, leave } = await follow(run.url, cookie);
    await until(() => news.length >= 2, 'news');
    leave();
    const calls = await settled(() => fake.calls, 'the calls', 300);
    await staysTrueFor(1_500, () => fake.calls === calls, 'nobody asks any more');
  });
});
