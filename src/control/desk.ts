// desk.ts: where the clients of one forwarder's control socket come to, whoever accepts them. What
// answers calls is loaded for the first of them, and not before: most forwarders are never asked.

import { closeSync } from 'node:fs';
import type { Reception } from '../unix-listener.js';
import { refuse } from './refusal.js';
import type { ControlServer, ServerOptions } from './server.js';

/** Serves clients until it is closed. */
export class ControlDesk implements Reception {
  readonly #options: ServerOptions;
  #server: Promise<ControlServer> | undefined;
  #loaded: ControlServer | undefined;
  #arriving = 0;
  #isOpen = true;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Whether a client waits for an answer. */
  get isBusy(): boolean {
    return this.#arriving > 0 || this.#loaded?.isBusy === true;
  }

  /** Cuts off every client. */
  close(): void {
    this.#isOpen = false;
    this.#server?.then(
      (server) => server.close(),
      () => undefined,
    );
  }

  serve(fd: number): void {
    void this.#serve(fd);
  }

  refuse(fd: number, reason: string): void {
    refuse(fd, '403 Forbidden', reason);
  }

  async #serve(fd: number): Promise<void> {
    let server: ControlServer;
    this.#arriving += 1;
    try {
      server = await (this.#server ??= this.#load());
      this.#loaded = server;
    } catch (error) {
      this.#server = undefined;
      refuse(fd, '500 Internal Server Error', `cannot load the control API: ${String(error)}`);
      return;
    } finally {
      this.#arriving -= 1;
    }
    if (this.#isOpen) server.accept(fd);
    else closeSync(fd);
  }

  async #load(): Promise<ControlServer> {
    const { ControlServer } = await import('./server.js');
    return new ControlServer(this.#options);
  }
}
