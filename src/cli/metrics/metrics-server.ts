// metrics-server.ts: an HTTP endpoint for Prometheus.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatEndpoint } from '../../address.js';
import { CliFailure, failureOf } from '../failure.js';
import { describePortOwner } from '../running/port-owner.js';
import type { ListenAddress } from './listen-address.js';

const TEXT = 'text/plain; charset=utf-8';
/** Of the exposition format. */
const METRICS_TEXT = `text/plain; version=0.0.4; charset=utf-8`;
/** Anyone who can reach the port can connect. */
const MAX_CONNECTIONS = 64;

/** A running endpoint. */
export interface MetricsServer extends AsyncDisposable {
  /** Of the metrics. */
  readonly url: string;
}

/**
 * Listens.
 * @param read - Makes the text for a scrape; those who ask meanwhile get the same.
 * @throws CliFailure
 */
export async function openMetricsServer(
  at: ListenAddress,
  read: () => Promise<string>,
): Promise<MetricsServer> {
  const server = createServer(handler(shared(read)));
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(at.port, at.address);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenFailure(error as NodeJS.ErrnoException, at);
  }
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${formatEndpoint({ address, port })}/metrics`,
    [Symbol.asyncDispose]: () => close(server),
  };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

function handler(read: () => Promise<string>) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const answer = (status: number, type: string, text: string): void => {
      response.writeHead(status, {
        'content-type': type,
        'content-length': Buffer.byteLength(text),
      });
      response.end(request.method === 'HEAD' ? undefined : text);
    };
    const path = (request.url ?? '').replace(/\?.*/s, '');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answer(405, TEXT, 'Only GET and HEAD.\n');
    } else if (path === '/metrics') {
      read().then(
        (text) => answer(200, METRICS_TEXT, text),
        (error: unknown) => answer(500, TEXT, `${failureOf(error).message}\n`),
      );
    } else {
      answer(path === '/' ? 200 : 404, TEXT, 'The metrics are at /metrics.\n');
    }
  };
}

/** The same function, called once for all callers at a time. */
function shared(read: () => Promise<string>): () => Promise<string> {
  let pending: Promise<string> | undefined;
  return () => {
    pending ??= read().finally(() => (pending = undefined));
    return pending;
  };
}

const reasons: Readonly<Record<string, { readonly reason: string; readonly hint: string }>> = {
  EADDRINUSE: {
    reason: 'the port is in use',
    hint: 'Is "spliceport metrics" running already? Otherwise choose another port.',
  },
  EADDRNOTAVAIL: {
    reason: 'this machine does not have the address',
    hint: '"ip address" lists its addresses; 0.0.0.0 and [::] mean all of them.',
  },
  EACCES: {
    reason: 'permission denied',
    hint: 'Ports below net.ipv4.ip_unprivileged_port_start need a privilege. Choose a higher port.',
  },
};

function listenFailure(error: NodeJS.ErrnoException, at: ListenAddress): CliFailure {
  const { code = '', message } = error;
  const { reason = message, hint } = reasons[code] ?? {};
  const owner = code === 'EADDRINUSE' ? describePortOwner([{ protocol: 'tcp', ...at }]) : undefined;
  return new CliFailure(
    failureOf(error).exitCode,
    `cannot listen on ${formatEndpoint(at)}: ${reason}`,
    { code, hint: [owner, hint].filter(Boolean).join('\n'), cause: error },
  );
}
