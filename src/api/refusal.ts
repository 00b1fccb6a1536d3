// refusal.ts: answers that are given without an HTTP server. Small, because every forwarder loads it.

import { closeSync } from 'node:fs';
import { receive, send, watchFd } from '../system.js';

/** How long a refused client may take to send its request and read the answer. */
const LINGER_MS = 1_000;
/** Further ones are let go at once. */
const MAX_LINGERING = 16;
const CHUNK_BYTES = 64 * 1024;

let lingering = 0;

/** An answer in full, after which the connection is closed. */
export function rawAnswer(
  status: string,
  message: string,
  headers: readonly string[] = [],
): string {
  const body = `${JSON.stringify({ message })}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

/**
 * Answers whatever a client asks with a refusal, and lets it go.
 * @param fd - Taken over.
 */
export function refuse(fd: number, status: string, message: string): void {
  try {
    send(fd, Buffer.from(rawAnswer(status, message)));
  } catch {
    // It is gone already.
  }
  if (lingering >= MAX_LINGERING) {
    closeSync(fd);
    return;
  }
  lingering += 1;
  const end = () => {
    lingering -= 1;
    clearTimeout(timer);
    watcher.close();
    closeSync(fd);
  };
  // What is closed with a request unread is reset, and the client may never see the answer.
  const watcher = watchFd(fd, () => {
    discard(fd);
    end();
  });
  watcher.unref();
  const timer = setTimeout(end, LINGER_MS).unref();
}

function discard(fd: number): void {
  try {
    receive(fd, CHUNK_BYTES);
  } catch {
    // It is closed anyway.
  }
}
