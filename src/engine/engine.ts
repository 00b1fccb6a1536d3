// engine.ts: the threads that relay, and the forwarders that share them. To the threads all
// forwards are one list; here is known whose each is.

import {
  binding,
  startEngine,
  type NativeConnectFailure,
  type NativeEngine,
  type NativeEvent,
} from './binding.js';
import { invalidArgType, SpliceportError } from '../errors.js';
import { resolveEngineOptions } from '../spec/validate.js';
import type { EngineHandle, EngineOptions } from '../types/options.js';
import type { Session } from '../types/session.js';
import { showByFacts } from './inspect.js';
import { endAtExit, forgetAtExit } from './at-exit.js';

/** What a forwarder is told by its engine. */
export interface EngineUser {
  /** A removed forward has lost its last session. */
  onRemoved(id: number): void;
  /** A forward has begun to fail. */
  onConnectFailed(failure: NativeConnectFailure): void;
  /** There are ends of sessions to take. */
  onSessionsEnded(): void;
  /** The engine is about to close, and what the forwarder still has with it. */
  onClose(): void;
}

let openUse: (engine: Engine, user: EngineUser, tellsOfEnds: boolean, isOwn: boolean) => EngineUse;

/**
 * The threads that relay, for forwarders that share them: `new Forwarder({ engine })`.
 * It keeps the process alive while one of its forwarders does.
 */
export class Engine {
  static {
    showByFacts(this, ({ closed }) => ({ closed }));
    openUse = (engine, ...use) => engine.#open(...use);
  }

  readonly #native: NativeEngine;
  readonly #users = new Map<number, EngineUser>();
  readonly #ownerOf = new Map<number, number>();
  readonly #keepers = new Set<number>();
  #nextId = 1;
  #closed = false;

  /**
   * Starts the threads.
   * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`
   * @throws RangeError `ERR_SPLICEPORT_OUT_OF_RANGE`
   * @throws SpliceportSystemError such as `EAGAIN` or `EMFILE`, when threads or descriptors cannot
   * be had
   */
  constructor(options: EngineOptions = {}) {
    const resolved = resolveEngineOptions(options);
    // Each session takes two descriptors. Where the limit stays as it is, listeners pause when it
    // is reached.
    binding.raiseFileLimit();
    this.#native = startEngine({ ...resolved, acceptors: acceptors() }, this.#onEvent);
    this.#native.unref();
  }

  /** True from the first call of {@link Engine.close} on. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Closes the forwarders that are left, and ends the threads. May be called again. */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      for (const user of [...this.#users.values()]) user.onClose();
      forgetAtExit(this.#onExit);
      this.#native.close();
    }
    return Promise.resolve();
  }

  /** {@link Engine.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(user: EngineUser, tellsOfEnds: boolean, isOwn: boolean): EngineUse {
    if (this.#closed) throw new SpliceportError('ERR_SPLICEPORT_CLOSED', 'The engine is closed');
    const native = this.#native;
    const owner = native.openOwner(tellsOfEnds);
    this.#users.set(owner, user);
    return {
      native,
      owner,
      nextId: () => this.#nextId,
      takeIds: (count) => this.#takeIds(owner, count),
      dropIds: (firstId, count) => {
        for (let id = firstId; id < firstId + count; id++) this.#ownerOf.delete(id);
      },
      sessions: () =>
        native.sessions().filter(({ forwardId }) => this.#ownerOf.get(forwardId) === owner),
      keepAlive: (keeps) => this.#keepAlive(owner, keeps),
      closesAtExit: () => endAtExit(this.#onExit),
      end: (ids) => {
        if (isOwn) void this.close();
        else if (ids.length > 0) native.remove(ids, 0);
      },
      forget: () => {
        this.#keepAlive(owner, false);
        this.#users.delete(owner);
        native.closeOwner(owner);
      },
    };
  }

  #takeIds(owner: number, count: number): number {
    const firstId = this.#nextId;
    this.#nextId += count;
    for (let id = firstId; id < this.#nextId; id++) this.#ownerOf.set(id, owner);
    return firstId;
  }

  #keepAlive(owner: number, keeps: boolean): void {
    if (keeps) this.#keepers.add(owner);
    else this.#keepers.delete(owner);
    if (this.#keepers.size > 0) this.#native.ref();
    else this.#native.unref();
  }

  readonly #onEvent = (event: NativeEvent): void => {
    if (event.type === 'sessions-ended') {
      this.#users.get(event.owner)?.onSessionsEnded();
      return;
    }
    const user = this.#users.get(this.#ownerOf.get(event.id) ?? 0);
    if (event.type === 'connect-failed') {
      user?.onConnectFailed(event);
      return;
    }
    this.#ownerOf.delete(event.id);
    user?.onRemoved(event.id);
  };

  readonly #onExit = (): void => void this.close();
}

/**
 * Clients and servers need the processors too. With more than half of them awake for new
 * connections, two threads share what one does with fewer wake-ups.
 */
function acceptors(): number {
  const processors = process.getBuiltinModule('node:os').availableParallelism();
  return Math.max(Math.floor(processors / 2), 1);
}

/** What a forwarder has of an engine. */
export interface EngineUse {
  readonly native: NativeEngine;
  /** Which of the engine's forwarders it is. */
  readonly owner: number;
  /** What the next forward would be called. */
  nextId(): number;
  /** Ids for so many forwards, of which the first is given. None is ever used again. */
  takeIds(count: number): number;
  /**
   * Takes note that there is no forward with these ids, since it failed. The engine may still end
   * sessions of them.
   */
  dropIds(firstId: number, count: number): void;
  /** Of its own forwards. */
  sessions(): Session[];
  keepAlive(keeps: boolean): void;
  /** Has the whole engine close when the process exits. */
  closesAtExit(): void;
  /** Ends the forwards that are left, at once; the whole engine, if it is not shared. */
  end(ids: readonly number[]): void;
  /** After its end: forgets its counters and the ends of its sessions. */
  forget(): void;
}

/**
 * Begins a forwarder's use of an engine.
 * @param shared - Where there is none, the forwarder gets one of its own.
 * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`, when it is no engine
 * @throws SpliceportError `ERR_SPLICEPORT_CLOSED`
 * @throws SpliceportSystemError
 */
export function useEngine(
  shared: EngineHandle | undefined,
  options: EngineOptions,
  user: EngineUser,
  tellsOfEnds: boolean,
): EngineUse {
  if (shared === undefined) return openUse(new Engine(options), user, tellsOfEnds, true);
  if (!(shared instanceof Engine)) throw invalidArgType('options.engine', 'an Engine', shared);
  return openUse(shared, user, tellsOfEnds, false);
}
