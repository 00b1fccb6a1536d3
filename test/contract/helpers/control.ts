// control.ts: a forwarder with a control socket, and raw HTTP to it.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Forwarder } from '../../../src/index.js';
import {
  openControlSocket,
  type ControlOptions,
  type ControlSocket,
} from '../../../src/control/listen.js';
import { within } from '../../helpers/wait.js';

/** An answer, with its body read as JSON where it is that. */
export interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  readonly json: unknown;
}

/** One call. */
export async function call(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<Reply> {
  const data = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  const started = request({ socketPath, method, path, agent: false });
  started.end(data);
  const [response] = (await within(once(started, 'response'), `${method} ${path}`)) as [
    AsyncIterable<Buffer> & { statusCode: number; headers: NodeJS.Dict<string | string[]> },
  ];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = response.headers['content-type'] === 'application/json';
  const json: unknown = isJson ? JSON.parse(text) : undefined;
  return { status: response.statusCode, headers: response.headers, text, json };
}

/** A connection that has said nothing yet, and everything that it is told. */
export class RawClient {
  readonly socket: Socket;
  /** Settles when the connection is at its end, whether in order or not. */
  readonly closed: Promise<unknown>;
  text = '';

  constructor(socketPath: string) {
    this.socket = createConnection(socketPath);
    this.socket.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
  }

  /** Everything that it was told, once the connection is at its end. */
  async whole(withinMs = 5_000): Promise<string> {
    await within(this.closed, 'the end of the connection', withinMs);
    return this.text;
  }
}

/** A folder for control sockets, a forwarder of this process, and its control socket. */
export class Controlled {
  readonly folder = mkdtempSync(join(tmpdir(), 'spliceport-control-'));
  readonly forwarder: Forwarder;
  readonly socket: ControlSocket;

  /** @param netnsPath - The container's. */
  constructor(netnsPath: string, options: ControlOptions = {}) {
    this.forwarder = new Forwarder({ netns: { path: netnsPath } });
    this.socket = openControlSocket(this.forwarder, { folder: this.folder, ...options });
  }

  get path(): string {
    return this.socket.path;
  }

  call(method: string, path: string, body?: unknown): Promise<Reply> {
    return call(this.path, method, path, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await this.forwarder.close();
    rmSync(this.folder, { recursive: true });
  }
}
