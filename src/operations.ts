// operations.ts: what the control API, the log and front-ends need of a forwarder, wherever its
// engine is: in this process, or in another one, which takes time to ask.

import type { ForwardSpec, SocketForwardSpec, TargetChange } from './types/forward-spec.js';
import type { Stats } from './types/forward-stats.js';
import type { Forward, ForwarderEvents } from './types/forwards.js';
import type { CloseOptions } from './types/options.js';
import type { Session } from './types/session.js';

/** A forwarder. `Forwarder` documents each operation. */
export interface ForwarderOperations {
  /** True from the first call of {@link ForwarderOperations.close} on. */
  readonly closed: boolean;
  add(spec: ForwardSpec | SocketForwardSpec | string): Promise<Forward>;
  addAll(specs: readonly (ForwardSpec | SocketForwardSpec | string)[]): Promise<Forward[]>;
  remove(ids: number | readonly number[], options?: CloseOptions): Promise<void>;
  list(): Forward[];
  get(id: number): Forward | undefined;
  retarget(ids: number | readonly number[], change: TargetChange): Promise<void>;
  /**
   * If the engine is in another process, all calls of one turn of the event loop are one request.
   */
  stats(id?: number): Stats | Promise<Stats>;
  sessions(): Session[] | Promise<Session[]>;
  close(options?: CloseOptions): Promise<void>;
  on<E extends keyof ForwarderEvents>(
    event: E,
    listener: (...args: ForwarderEvents[E]) => void | Promise<void>,
  ): this;
  off<E extends keyof ForwarderEvents>(
    event: E,
    listener: (...args: ForwarderEvents[E]) => void | Promise<void>,
  ): this;
}
