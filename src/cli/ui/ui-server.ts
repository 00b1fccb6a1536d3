// ui-server.ts: the HTTP server of `spliceport ui`: the page, its news and its actions.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { formatEndpoint } from '../../address.js';
import type { News, Outcome } from '../../page/page-messages.js';
import { failureOf, usageFailure } from '../failure.js';
import { close, listen } from '../http/open-listener.js';
import type { ListenAddress } from '../http/listen-address.js';
import { act, parseAction } from './actions.js';
import { Gate, type Refused } from './gate.js';
import { Hub } from './hub.js';

const MAX_CONNECTIONS = 64;
const MAX_BODY_BYTES = 1024 * 1024;
const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/json';

/** A running server. */
export interface UiServer extends AsyncDisposable {
  /** With the token. */
  readonly url: string;
}

/**
 * Listens.
 * @throws CliFailure
 */
export async function openUiServer(at: ListenAddress): Promise<UiServer> {
  const site = new Site(readPage());
  const server = createServer((request, response) => site.serve(request, response));
  server.maxConnections = MAX_CONNECTIONS;
  const inUse = await listen(server, at, 'spliceport ui');
  return {
    url: `http://${formatEndpoint(reachable(inUse))}/?token=${site.token}`,
    async [Symbol.asyncDispose]() {
      site[Symbol.dispose]();
      await close(server);
    },
  };
}

/** The address of every interface is none to connect to. */
function reachable({ address, port }: ListenAddress): ListenAddress {
  const loopbacks: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return { address: loopbacks[address] ?? address, port };
}

interface Page {
  readonly html: string;
  /** What the browser may load and run: what is in the page, and nothing else. */
  readonly policy: string;
}

function readPage(): Page {
  const html = readFileSync(new URL('../../page/index.html', import.meta.url), 'utf8');
  return { html, policy: policyFor(html) };
}

function policyFor(html: string): string {
  const hashes = (tag: string): string =>
    [...html.matchAll(new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, 'gs'))]
      .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ');
  return [
    "default-src 'none'",
    `script-src ${hashes('script') || "'none'"}`,
    `style-src ${hashes('style')}`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

class Site implements Disposable {
  readonly #page: Page;
  readonly #gate = new Gate();
  readonly #hub = new Hub();

  constructor(page: Page) {
    this.#page = page;
  }

  get token(): string {
    return this.#gate.token;
  }

  [Symbol.dispose](): void {
    this.#hub[Symbol.dispose]();
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://spliceport');
    const route = `${request.method === 'HEAD' ? 'GET' : (request.method ?? '')} ${pathname}`;
    if (route === 'GET /') {
      this.#showPage(request, response, searchParams.get('token'));
      return;
    }
    const refused = this.#gate.forData(request);
    if (refused !== undefined) answerJson(response, refused.status, refused);
    else if (route === 'GET /news') this.#tellNews(response, searchParams.has('sessions'));
    else if (route === 'POST /actions') void this.#act(request, response);
    else answerJson(response, 404, { message: `there is no ${pathname}` });
  }

  #showPage(request: IncomingMessage, response: ServerResponse, token: string | null): void {
    const verdict = this.#gate.forPage(request, token);
    if ('status' in verdict) {
      const html = refusalPage(verdict);
      answer(response, verdict.status, { type: HTML, text: html, policy: policyFor(html) });
      return;
    }
    if (verdict.setCookie !== undefined) response.setHeader('set-cookie', verdict.setCookie);
    answer(response, 200, { type: HTML, text: this.#page.html, policy: this.#page.policy });
  }

  #tellNews(response: ServerResponse, wantsSessions: boolean): void {
    setSafely(response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const leave = this.#hub.join({
      wantsSessions,
      isReady: () => !response.writableNeedDrain,
      tell: (news: News) => void response.write(`data: ${JSON.stringify(news)}\n\n`),
    });
    response.once('close', leave);
  }

  async #act(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const action = parseAction(await bodyOf(request));
      const outcome = act(action);
      // What takes long, such as a drain, is seen from its begin.
      this.#hub.expectChange();
      answerJson(response, 200, await outcome);
    } catch (error) {
      const { message, hint } = failureOf(error);
      answerJson(response, 400, { message, ...(hint !== undefined && { hint }) });
    } finally {
      this.#hub.expectChange();
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  request.setEncoding('utf8');
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > MAX_BODY_BYTES) throw usageFailure('the request is too long');
  }
  return text;
}

function answerJson(response: ServerResponse, status: number, outcome: Outcome): void {
  const { message, hint } = outcome;
  const text = JSON.stringify({ message, ...(hint !== undefined && { hint }) });
  answer(response, status, { type: JSON_TYPE, text, policy: "default-src 'none'" });
}

function setSafely(response: ServerResponse): void {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cross-origin-resource-policy', 'same-origin');
  // The address of the page has the token.
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('x-content-type-options', 'nosniff');
}

interface Content {
  readonly type: string;
  readonly text: string;
  readonly policy: string;
}

function answer(response: ServerResponse, status: number, { type, text, policy }: Content): void {
  setSafely(response);
  response.writeHead(status, {
    'content-type': type,
    'content-security-policy': policy,
    'content-length': Buffer.byteLength(text),
  });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

function refusalPage({ message, hint = '' }: Refused): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>spliceport</title>
<style>
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }
body { max-width: 34em; margin: 20vh auto; padding: 0 1.5em }
h1 { font-size: 1.25em }
</style>
<h1>${escape(message)}</h1>
<p>${escape(hint)}</p>
</html>
`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
