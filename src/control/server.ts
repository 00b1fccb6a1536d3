// server.ts: answers calls at the control socket. Loaded when the first client connects.
//
// A connection is one call. Whoever is slow, says too much or is one too many is answered with what
// is wrong and let go; the threads that relay have no part in any of it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import type { Context, PortDriver } from './context.js';
import type { ForwarderOperations } from '../operations.js';
import { takeWatch } from '../system.js';
import { failureOf, Problem, statusOf } from './problem.js';
import { rawAnswer, refuse } from './refusal.js';
import { findRoute, routesFor, type Answer, type Route } from './routes.js';
import type { ContainerInfo } from './control-types.js';

const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_BODY_BYTES = 1024 * 1024;
/**
 * What is read and thrown away of a body that is too long, so that its sender comes to read the
 * answer.
 */
const MAX_DISCARDED_BYTES = 16 * MAX_BODY_BYTES;
/** How long a client may take to send its call. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How long a client may take to read the answer. */
const RESPONSE_TIMEOUT_MS = 30_000;

/** What a control socket was opened with. */
export interface ServerOptions {
  readonly forwarder: ForwarderOperations;
  readonly socketPath: string;
  /** The process that has the forwards. */
  readonly pid: number;
  readonly openedAtMs: number;
  readonly program?: string;
  readonly container?: ContainerInfo;
  readonly notices?: readonly string[];
  readonly targetFor?: (hostAddress: string) => string;
  readonly onDrained?: () => void;
  readonly rootlessKit?: PortDriver;
}

/** The server behind one control socket. */
export class ControlServer {
  readonly #routes: readonly Route[];
  /** Each connection, with what ends it when its client is slow. */
  readonly #deadlines = new Map<Socket, NodeJS.Timeout>();
  readonly #http = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false });

  constructor(options: ServerOptions) {
    this.#routes = routesFor(contextOf(options));
    this.#http.maxRequestsPerSocket = 1;
    this.#http.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch((error: unknown) => {
        if (response.headersSent) request.socket.destroy();
        else reply(request.socket, '500 Internal Server Error', String(error));
      });
    });
    this.#http.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const isTooLong = error.code === 'HPE_HEADER_OVERFLOW';
      const status = isTooLong ? '431 Request Header Fields Too Large' : '400 Bad Request';
      reply(socket, status, isTooLong ? 'the headers are too long' : 'this is not HTTP');
    });
    this.#http.on('connect', (_request, socket: Socket) => {
      reply(socket, '405 Method Not Allowed', 'not a proxy');
    });
  }

  /**
   * Serves a client.
   * @param fd - Taken over.
   */
  accept(fd: number): void {
    if (this.#deadlines.size >= MAX_CONNECTIONS) {
      refuse(fd, '503 Service Unavailable', `${MAX_CONNECTIONS} calls are under way already`);
      return;
    }
    let socket: Socket;
    try {
      takeWatch(fd);
      socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    } catch (error) {
      refuse(fd, '503 Service Unavailable', `this connection cannot be served: ${String(error)}`);
      return;
    }
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(this.#deadlines.get(socket));
      this.#deadlines.delete(socket);
    });
    this.#setDeadline(socket, REQUEST_TIMEOUT_MS, () => {
      reply(socket, '408 Request Timeout', `request incomplete after ${REQUEST_TIMEOUT_MS} ms`);
      socket.destroySoon();
    });
    this.#http.emit('connection', socket);
  }

  /** Whether there is a client that has not been answered in full. */
  get isBusy(): boolean {
    return this.#deadlines.size > 0;
  }

  /** Cuts off every client. */
  close(): void {
    for (const socket of this.#deadlines.keys()) socket.destroy();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    response.shouldKeepAlive = false;
    let answer: Answer;
    let headers: Readonly<Record<string, string>> = {};
    try {
      const body = await bodyOf(request);
      // From here on it is the answer that takes its time, and a drain may take hours.
      clearTimeout(this.#deadlines.get(socket));
      answer = await this.#answer(request, body);
    } catch (error) {
      answer = { status: statusOf(error), json: failureOf(error) };
      if (error instanceof Problem) headers = error.headers;
    }
    if (socket.destroyed) {
      answer.after?.();
      return;
    }
    if (answer.after !== undefined) response.once('close', answer.after);
    this.#setDeadline(socket, RESPONSE_TIMEOUT_MS, () => socket.destroy());
    send(response, answer, headers);
  }

  #answer({ method = '', url = '' }: IncomingMessage, body: string): Answer | Promise<Answer> {
    const { pathname, searchParams } = new URL(url, 'http://spliceport');
    const { route, id } = findRoute(this.#routes, method, pathname);
    return route.answer({ id, body, query: Object.fromEntries(searchParams) });
  }

  #setDeadline(socket: Socket, afterMs: number, end: () => void): void {
    clearTimeout(this.#deadlines.get(socket));
    this.#deadlines.set(socket, setTimeout(end, afterMs).unref());
  }
}

function contextOf(options: ServerOptions): Context {
  const { forwarder, socketPath, pid, openedAtMs, container, notices = [] } = options;
  // By its name, so that it is found from wherever this file is bundled to.
  const require = createRequire(import.meta.filename);
  const { version } = require('spliceport/package.json') as { version: string };
  return {
    forwarder,
    pid,
    version,
    openedAtMs,
    container,
    notices,
    rootlessKit: options.rootlessKit,
    name: basename(socketPath, '.sock'),
    stateDir: dirname(socketPath),
    program: options.program ?? 'library',
    targetFor: options.targetFor ?? (() => '127.0.0.1'),
    onDrained: options.onDrained ?? (() => undefined),
  };
}

/** Rejects with a Problem when it is too long. */
function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const tooLong = () => reject(new Problem(413, `a body has at most ${MAX_BODY_BYTES} bytes`));
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
      if (bytes > MAX_DISCARDED_BYTES) tooLong();
    });
    request.once('end', () => {
      if (bytes > MAX_BODY_BYTES) tooLong();
      else resolve(Buffer.concat(chunks).toString('utf8'));
    });
    request.once('close', () => reject(new Problem(400, 'request aborted')));
  });
}

function send(
  response: ServerResponse,
  { status, json, text }: Answer,
  headers: Readonly<Record<string, string>>,
): void {
  const content = text?.content ?? (json === undefined ? '' : `${JSON.stringify(json)}\n`);
  const type = text?.type ?? 'application/json';
  response.writeHead(status, {
    ...headers,
    ...(content !== '' && { 'content-type': type }),
    'content-length': Buffer.byteLength(content),
  });
  response.end(content);
}

/** Answers a client that has sent no call that could be handled. */
function reply(socket: Socket, status: string, message: string): void {
  if (socket.writable) socket.end(rawAnswer(status, message));
  else socket.destroy();
}
