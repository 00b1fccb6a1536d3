// resident.ts: the shims that are connected, and what a fault in this process is told to.

import { AsyncLocalStorage } from 'node:async_hooks';
import { closeSync } from 'node:fs';
import { connectAgain } from '../remote/sections.js';
import { Shim } from '../remote/shim.js';
import type { Hello } from '../remote/messages.js';
import { UnixListener } from '../unix-listener.js';
import { monotonicMs } from '../util.js';
import { Lingering } from './lingering.js';
import { isTrusted } from './peer.js';
import { ServedContainer } from './served-container.js';
import { SocketFile } from './socket-place.js';
import { Starts } from './starts.js';
import { isLater, OwnPackage } from './version.js';

/** A fault that repeats must not fill a disk. Unit: ms. */
const QUIET_MS = 1_000;

/** Serves shims. */
export class Resident {
  readonly #package = new OwnPackage();
  readonly #containers = new Set<ServedContainer>();
  readonly #file = new SocketFile();
  readonly #listener: UnixListener;
  readonly #lingering: Lingering;
  /** Which container something is done for. */
  readonly #present = new AsyncLocalStorage<ServedContainer>();
  readonly #starts = new Starts();
  #isReplaced = false;
  #quietUntilMs = 0;

  /**
   * Begins.
   * @param listenerFd - Taken over.
   * @param leave - Called when there is nothing left to do.
   */
  constructor(listenerFd: number, leave: () => void) {
    const containers = () => [...this.#containers];
    this.#lingering = new Lingering(
      {
        isUnderWay: () => this.#starts.areUnderWay || containers().some(({ isBusy }) => isBusy),
        isKept: () => containers().some(({ isLogged }) => isLogged),
        lingers: () => containers().map(({ linger }) => linger),
        isReplaced: () => this.#isReplaced || this.#file.isReplaced() || this.#package.isReplaced(),
      },
      leave,
    );
    this.#listener = new UnixListener(
      listenerFd,
      { serve: (fd) => this.#serve(fd), refuse: (fd) => closeSync(fd) },
      true,
    );
  }

  /** Tells the user of the container that it happened for; the rest goes on. */
  tellOfFault(error: unknown): void {
    const nowMs = monotonicMs();
    if (nowMs < this.#quietUntilMs) return;
    this.#quietUntilMs = nowMs + QUIET_MS;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const present = this.#present.getStore();
    for (const container of present === undefined ? this.#containers : [present]) {
      container.tell(`internal fault: ${text}`);
    }
  }

  #serve(fd: number): void {
    this.#lingering.touch();
    if (!isTrusted(fd)) {
      closeSync(fd);
      return;
    }
    let container: ServedContainer | undefined;
    const within = (work: (container: ServedContainer) => void) => {
      this.#lingering.touch();
      const present = container;
      if (present !== undefined) this.#present.run(present, () => work(present));
    };
    try {
      this.#starts.begin();
      const shim = new Shim(fd, this.#package.version, {
        onHello: (hello) => {
          container = this.#meet(shim, hello);
        },
        onReload: (client, request) => within((served) => served.reload(client, request)),
        onControlClient: (client) => within((served) => served.control(client)),
        onEnd: () => {
          if (shim.hello === undefined) this.#starts.end();
          within((served) => void this.#end(served));
        },
      });
    } catch {
      // There is no watch left for it.
      this.#starts.end();
      closeSync(fd);
    }
  }

  #meet(shim: Shim, hello: Hello): ServedContainer | undefined {
    if (isLater(hello.version, this.#package.version)) {
      // What it needs may be unknown here; the next resident is of its version.
      this.#isReplaced = true;
      this.#listener.close();
      shim.request([connectAgain()]).catch(() => undefined);
      this.#starts.end();
      return undefined;
    }
    const container = new ServedContainer(shim, hello, this.#starts);
    this.#containers.add(container);
    const begun = this.#present.run(container, () => container.begin());
    void begun.finally(() => this.#starts.end());
    return container;
  }

  async #end(container: ServedContainer): Promise<void> {
    await container.end();
    this.#lingering.remember();
    this.#lingering.touch();
    this.#containers.delete(container);
  }
}
