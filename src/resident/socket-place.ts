// socket-place.ts: the file through which shims find the resident. It is made by the shim that
// starts the resident, and each part of it is as native/shim/ has it.

import { statSync } from 'node:fs';
import { outerUid } from '../control/folder.js';
import { identityOf } from '../unix-listener.js';

/** Of the protocol, which only grows. */
const VERSION = 'v1';

/** Where this process's socket is. */
export function residentSocketPath(): string {
  const { XDG_RUNTIME_DIR: runtime = '' } = process.env;
  const folder = runtime.startsWith('/')
    ? `${runtime}/spliceport-resident`
    : `/tmp/spliceport-resident-${outerUid()}`;
  const [user, network] = ['user', 'net'].map((kind) => statSync(`/proc/self/ns/${kind}`).ino);
  return `${folder}/${user}-${network}-${VERSION}`;
}

/** Watches whether the file is still the one that it was at first. */
export class SocketFile {
  readonly #path = residentSocketPath();
  readonly #identity = identityOf(this.#path);

  isReplaced(): boolean {
    try {
      // One that was gone before this process came is no longer anybody's way to it.
      return this.#identity === undefined || identityOf(this.#path) !== this.#identity;
    } catch {
      return true;
    }
  }
}
