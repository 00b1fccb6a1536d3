// refusal.ts: answers that are given without an HTTP server. Small, because every forwarder loads
// it.

import { send } from '../system.js';
import { linger } from '../unix-listener.js';

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
  linger(fd);
}
