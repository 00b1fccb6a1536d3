/* eslint-disable @typescript-eslint/require-await -- async turns what is thrown into a rejection */
// forwarder.ts: the life of forwards. Decides here, in JavaScript; the engine's threads move the
// bytes.

import { closeSync } from 'node:fs';
import { binding, type NativeConnectFailure } from './engine/binding.js';
import {
  linksOf,
  refuseCircles,
  refuseNewCircles,
  refuseTaken,
  refuseTakenSockets,
} from './engine/collisions.js';
import { forwardsOf, freezeForward, freezeStats, retargetedForward } from './engine/snapshots.js';
import { ForwardTable, type Entry } from './engine/forward-table.js';
import { closedError } from './errors.js';
import { addError, retargetError } from './engine/engine-errors.js';
import { keyOf, takeHostSockets, type OpenedRange } from './engine/host-sockets.js';
import { showByFacts } from './engine/inspect.js';
import { useEngine, type EngineUse } from './engine/engine.js';
import { Listeners } from './engine/listeners.js';
import type { ForwarderOperations } from './operations.js';
import { nativeForwards } from './engine/native-forwards.js';
import { NetnsTable, shownNetnsPath, type Netns } from './spec/netns.js';
import { SessionEnds } from './engine/session-ends.js';
import { Transparency } from './engine/transparency.js';
import type { SourceAddress } from './types/endpoints.js';
import type { ForwardSpec, SocketForwardSpec, TargetChange } from './types/forward-spec.js';
import type { Stats } from './types/forward-stats.js';
import type { Forward, ForwarderEvents } from './types/forwards.js';
import type { CloseOptions, ForwarderOptions } from './types/options.js';
import type { Session } from './types/session.js';
import {
  resolveChange,
  resolveDrainMs,
  resolveForwards,
  resolveId,
  resolveIds,
  resolveOptions,
  resolveSingle,
  type ResolvedRange,
} from './spec/validate.js';
import { at, atMost } from './util.js';

/**
 * Forwards TCP and UDP ports of the host to containers.
 *
 * Every method does its work before it returns: a port is bound, or free again, and a new target is
 * in force, as soon as the call has been made. The promises tell of failures and, where one is
 * removed, of the end of its sessions. It keeps the process alive while it has forwards; see
 * {@link Forwarder.unref}.
 * @example await using forwarder = new Forwarder({ netns: { pid } }) const { host } = await
 * forwarder.add('8080:80')
 */
export class Forwarder implements ForwarderOperations {
  static {
    showByFacts(this, (forwarder) => ({ closed: forwarder.closed, forwards: forwarder.list() }));
  }

  readonly #engine: EngineUse;
  readonly #ends: SessionEnds;
  readonly #namespaces = new NetnsTable((fd) => binding.probeNetns(fd));
  readonly #transparency = new Transparency();
  readonly #defaultNetnsPath: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #table = new ForwardTable<Netns>();
  readonly #listeners = new Listeners();
  #keepsAlive = true;
  #closed = false;
  /** Set when the engine has ended. */
  #finalStats: Stats | undefined;

  /**
   * Starts the threads that relay, unless it shares those of `engine`.
   * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`
   * @throws RangeError `ERR_SPLICEPORT_OUT_OF_RANGE`
   * @throws SpliceportError `ERR_SPLICEPORT_CLOSED`, when `engine` is closed
   * @throws SpliceportSystemError such as `EAGAIN` or `EMFILE`, when threads or descriptors cannot
   * be had
   */
  constructor(options: ForwarderOptions = {}) {
    const { netnsPath, signal, onSessionsEnded, engine, engineOptions } = resolveOptions(options);
    this.#defaultNetnsPath = netnsPath;
    this.#signal = signal;
    const tellsOfEnds = onSessionsEnded !== undefined;
    this.#engine = useEngine(engine, engineOptions, this.#user, tellsOfEnds);
    const { native, owner } = this.#engine;
    this.#ends = new SessionEnds((most) => native.takeEnded(owner, most), onSessionsEnded);
    signal?.addEventListener('abort', this.#onEnd);
    if (signal?.aborted === true) this.#end();
  }

  /** True from the first call of {@link Forwarder.close} on: no port is bound any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Forwards one port.
   * @param spec - An object, or text as {@link parsePortSpec} reads it.
   * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`, `ERR_SPLICEPORT_INVALID_PORT_SPEC`
   * @throws RangeError `ERR_SPLICEPORT_OUT_OF_RANGE`; a range of ports needs
   * {@link Forwarder.addAll}
   * @throws SpliceportError `ERR_SPLICEPORT_ALREADY_FORWARDED`, `ERR_SPLICEPORT_LEADS_TO_ITSELF`,
   * `ERR_SPLICEPORT_NETNS_GONE`, `ERR_SPLICEPORT_UNSUITABLE_SOCKET`, `ERR_SPLICEPORT_CLOSED`
   * @throws SpliceportSystemError such as `EADDRINUSE` or `EACCES` with side `host`, `EPERM` with
   * side `container`
   */
  async add(spec: ForwardSpec | SocketForwardSpec | string): Promise<Forward> {
    this.#assertOpen();
    return at(this.#addAll([resolveSingle(spec, this.#defaultNetnsPath)]), 0);
  }

  /**
   * Forwards many ports, ranges among them. All or nothing: after a failure none of them is bound.
   * @returns One forward for each port, in the order asked for.
   * @throws The same as {@link Forwarder.add}
   */
  async addAll(specs: readonly (ForwardSpec | SocketForwardSpec | string)[]): Promise<Forward[]> {
    this.#assertOpen();
    return this.#addAll(resolveForwards(specs, this.#defaultNetnsPath));
  }

  /**
   * Ends forwards. The ports are free as soon as the call has been made; the promise is fulfilled
   * when the last session has ended. To end what is already draining is to wait for it.
   * @throws SpliceportError `ERR_SPLICEPORT_NO_SUCH_FORWARD`, in which case none is ended;
   * `ERR_SPLICEPORT_CLOSED`
   */
  async remove(ids: number | readonly number[], options: CloseOptions = {}): Promise<void> {
    this.#assertOpen();
    const drainMs = resolveDrainMs(options);
    const entries = resolveIds(ids).map((id) => this.#table.require(id));
    await this.#removeEntries(entries, drainMs);
  }

  /** The forwards that take clients, by id. */
  list(): Forward[] {
    return this.#table.active();
  }

  /** The forward with this id, if it takes clients. */
  get(id: number): Forward | undefined {
    return this.#table.activeAt(id);
  }

  /**
   * Gives forwards a new target, in place: the host's socket stays, no client is refused, live
   * sessions go on with the old target. All or nothing.
   * @throws SpliceportError `ERR_SPLICEPORT_NO_SUCH_FORWARD`, `ERR_SPLICEPORT_LEADS_TO_ITSELF`,
   * `ERR_SPLICEPORT_NETNS_GONE`, `ERR_SPLICEPORT_CLOSED`
   * @throws SpliceportSystemError with side `container`
   */
  async retarget(ids: number | readonly number[], change: TargetChange): Promise<void> {
    this.#assertOpen();
    const resolved = resolveChange(change);
    const { netnsPath } = resolved;
    const entries = resolveIds(ids).map((id) => this.#table.requireActive(id));
    const acquired =
      netnsPath === undefined ? [] : this.#namespaces.acquire(entries.map(() => netnsPath));
    const changes = entries.map((entry, index) => {
      const forward = retargetedForward(entry.forward, resolved);
      const netns = acquired[index] ?? entry.netns;
      const warning = this.#warningFor(forward.sourceAddress, netns, forward.netnsPath);
      const before = entry.forward;
      return { entry, before, netns, forward: freezeForward({ ...forward, ...warning }) };
    });
    try {
      refuseNewCircles(changes, this.#table.linkAt);
    } catch (error) {
      for (const netns of acquired) this.#namespaces.release(netns);
      throw error;
    }
    const failure = this.#engine.native.retarget(
      changes.map(({ forward, netns }) => ({
        id: forward.id,
        target: { ...forward.container, netnsFd: netns.fd },
      })),
    );
    if (failure !== undefined) {
      for (const netns of acquired) this.#namespaces.release(netns);
      throw retargetError(
        failure,
        changes.map(({ forward }) => forward),
      );
    }
    for (const { entry, netns, forward } of changes) {
      if (netnsPath !== undefined) this.#namespaces.release(entry.netns);
      Object.assign(entry, { netns, forward });
    }
    this.#listeners.tellOfRetargeted(changes);
  }

  /**
   * Counters of one forward, also while it drains, or of all there ever were.
   * @throws SpliceportError `ERR_SPLICEPORT_NO_SUCH_FORWARD`
   */
  stats(id?: number): Stats {
    if (id !== undefined) this.#table.require(resolveId('id', id));
    if (this.#finalStats !== undefined) return this.#finalStats;
    const { native, owner } = this.#engine;
    return freezeStats(id === undefined ? native.statsOfOwner(owner) : native.stats(id));
  }

  /** The TCP sessions and UDP flows that are open now. */
  sessions(): Session[] {
    return this.#finalStats === undefined ? this.#engine.sessions() : [];
  }

  /**
   * Ends every forward, and the threads unless they are shared. Ports are free as soon as the call
   * has been made. May be called again, and without `drainMs` that ends what still drains.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const drainMs = resolveDrainMs(options);
    this.#closed = true;
    if (drainMs > 0 && this.#finalStats === undefined) {
      // Forwards that were told to drain for longer before are held to this time too.
      await atMost(drainMs, this.#removeEntries(this.#table.all(), drainMs));
    }
    this.#end();
  }

  /** {@link Forwarder.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Keeps the process alive while there are forwards; so it is at first. */
  ref(): this {
    this.#keepsAlive = true;
    this.#updateRef();
    return this;
  }

  /** Lets the process end although there are forwards. */
  unref(): this {
    this.#keepsAlive = false;
    this.#updateRef();
    return this;
  }

  /**
   * Calls `listener` whenever something of the kind happens, before the method that has caused it
   * returns. It is called once for an event, however often it was given.
   * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`
   * @throws RangeError `ERR_SPLICEPORT_OUT_OF_RANGE`, for an event that there is not
   */
  on<E extends keyof ForwarderEvents>(
    event: E,
    listener: (...args: ForwarderEvents[E]) => void | Promise<void>,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Takes {@link Forwarder.on} back. */
  off<E extends keyof ForwarderEvents>(
    event: E,
    listener: (...args: ForwarderEvents[E]) => void | Promise<void>,
  ): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  /**
   * Works on ranges as long as it can: a container engine waits for the helper, which may have a
   * thousand ports.
   */
  #addAll(wanted: readonly ResolvedRange[]): Forward[] {
    refuseTaken(wanted, this.#engine.nextId(), this.#table.idAt);
    const hosts = takeHostSockets(wanted.map(({ host, count }) => ({ ...host, count })));
    const namespaces = this.#acquire(wanted, hosts);
    let nextId = this.#startAll(wanted, hosts, namespaces);
    for (const { givenFd } of hosts) if (givenFd !== undefined) closeSync(givenFd);
    const forwards = wanted.flatMap((range, index) => {
      const firstId = nextId;
      nextId += range.count;
      return this.#record(firstId, range, at(hosts, index), at(namespaces, index));
    });
    this.#updateRef();
    this.#listeners.tellOfAdded(forwards);
    return forwards;
  }

  /** Opens the namespaces, or closes the host's sockets. */
  #acquire(wanted: readonly ResolvedRange[], hosts: readonly OpenedRange[]): Netns[] {
    let namespaces: Netns[] = [];
    try {
      refuseTakenSockets(hosts, this.#engine.nextId(), this.#table.idAt);
      namespaces = this.#namespaces.acquire(wanted.map(({ netnsPath }) => netnsPath));
      refuseCircles(linksOf(wanted, hosts, namespaces), this.#table.linkAt);
      return namespaces;
    } catch (error) {
      for (const netns of namespaces) this.#namespaces.release(netns);
      for (const { fds } of hosts) for (const fd of fds) closeSync(fd);
      throw error;
    }
  }

  /**
   * Gives the forwards to the engine, which closes the host's sockets if it fails; the first of
   * their ids.
   */
  #startAll(
    wanted: readonly ResolvedRange[],
    hosts: readonly OpenedRange[],
    namespaces: readonly Netns[],
  ): number {
    const total = wanted.reduce((sum, { count }) => sum + count, 0);
    const firstId = this.#engine.takeIds(total);
    const forwards = nativeForwards(this.#engine.owner, firstId, wanted, hosts, namespaces);
    const failure = this.#engine.native.add(forwards);
    if (failure === undefined) return firstId;
    this.#engine.dropIds(firstId, total);
    for (const netns of namespaces) this.#namespaces.release(netns);
    throw addError(failure, hosts);
  }

  /** Takes note of a range that runs: each port is a forward of its own from here on. */
  #record(firstId: number, range: ResolvedRange, opened: OpenedRange, netns: Netns): Forward[] {
    this.#namespaces.share(netns, range.count - 1);
    const { sourceAddress } = range.settings;
    const warning = this.#warningFor(sourceAddress, netns, shownNetnsPath(range.netnsPath));
    const forwards = forwardsOf(firstId, range, opened, warning);
    for (const forward of forwards) {
      this.#table.add({ forward, netns, hostKey: keyOf(forward.protocol, forward.host) });
    }
    return forwards;
  }

  #warningFor(sourceAddress: SourceAddress, netns: Netns, path: string): { warning?: string } {
    if (sourceAddress !== 'transparent') return {};
    this.#engine.closesAtExit();
    const warning = this.#transparency.warningFor(netns, path);
    return warning === undefined ? {} : { warning };
  }

  async #removeEntries(entries: readonly Entry<Netns>[], drainMs: number): Promise<void> {
    const active = this.#table.startRemoval(entries);
    for (const { netns } of active) this.#namespaces.release(netns);
    const ids = active.map(({ forward }) => forward.id);
    if (ids.length > 0) this.#engine.native.remove(ids, drainMs);
    this.#listeners.tellOfRemoved(active);
    await this.#table.gone(entries);
  }

  /** What the engine calls. */
  readonly #user = {
    onRemoved: (id: number): void => {
      this.#table.finishRemoval(id);
      this.#updateRef();
    },
    onConnectFailed: (failure: NativeConnectFailure): void =>
      this.#listeners.tellOfFailure(this.get(failure.id), failure),
    onSessionsEnded: (): void => void this.#ends.deliver(),
    onClose: (): void => this.#end(),
  };

  readonly #onEnd = (): void => this.#end();

  #end(): void {
    this.#closed = true;
    if (this.#finalStats !== undefined) return;
    const { native, owner } = this.#engine;
    this.#finalStats = freezeStats({ ...native.statsOfOwner(owner), sessionsOpen: 0 });
    this.#signal?.removeEventListener('abort', this.#onEnd);
    const ids = this.#table.all().map(({ forward }) => forward.id);
    this.#engine.end(ids);
    this.#namespaces.close();
    const active = this.#table.startRemoval(this.#table.all());
    for (const id of ids) this.#table.finishRemoval(id);
    this.#listeners.tellOfRemoved(active);
    void this.#ends.finish();
    this.#engine.forget();
  }

  #updateRef(): void {
    this.#engine.keepAlive(this.#keepsAlive && this.#table.size > 0);
  }

  #assertOpen(): void {
    if (this.#closed) {
      throw closedError(this.#signal?.aborted === true ? this.#signal.reason : undefined);
    }
  }
}
