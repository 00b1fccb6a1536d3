// metrics-server.ts: an HTTP endpoint for Prometheus.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { formatEndpoint } from '../../address.js';
import { failureOf } from '../failure.js';
import { close, listen } from '../http/open-listener.js';
import type { ListenAddress } from '../http/listen-address.js';

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
  const inUse = await listen(server, at, 'spliceport metrics');
  return {
    url: `http://${formatEndpoint(inUse)}/metrics`,
    [Symbol.asyncDispose]: () => close(server),
  };
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
