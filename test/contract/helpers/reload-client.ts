// reload-client.ts: clients of the helper's reload socket, of either type.

import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { connectUnix, receive, send, type UnixSocketType } from '../../../src/system.js';
import { SpliceportSystemError } from '../../../src/index.js';
import { until } from '../../helpers/wait.js';

/** A connected client. */
export class ReloadClient {
  readonly #fd: number;
  #isOpen = true;

  constructor(type: UnixSocketType, path: string) {
    const folder = openSync(dirname(path), 'r');
    try {
      this.#fd = connectUnix(type, folder, basename(path));
    } finally {
      closeSync(folder);
    }
  }

  send(data: string | Uint8Array): void {
    send(this.#fd, typeof data === 'string' ? Buffer.from(data) : data);
  }

  /** All that comes up to the end of the connection; `reset` when it did not end in order. */
  async reply(withinMs = 5_000): Promise<string> {
    let text = '';
    const isAtEnd = () => {
      try {
        const chunk = receive(this.#fd, 4_096);
        text += chunk?.toString() ?? '';
        return chunk?.length === 0;
      } catch (error) {
        if (!(error instanceof SpliceportSystemError)) throw error;
        text += 'reset';
        return true;
      }
    };
    await until(isAtEnd, 'a reply and the end', withinMs);
    return text;
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Sends one request and gives the reply. */
export async function requestReload(
  type: UnixSocketType,
  path: string,
  request: string | Uint8Array,
): Promise<string> {
  using client = new ReloadClient(type, path);
  client.send(request);
  return await client.reply();
}

/** A request that a shim does not carry out by itself: it reads no escapes. */
export function requestForResident(address: string): string {
  return JSON.stringify(address).replaceAll('.', String.raw`\u002e`);
}
