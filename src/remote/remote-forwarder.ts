// remote-forwarder.ts: a forwarder whose engine is in a shim. Checks, decides and makes errors as
// Forwarder does, and has the shim do what it decides.

import { linksOf, refuseCircles, refuseNewCircles, refuseTaken } from '../engine/collisions.js';
import type { NativeEndedSession } from '../engine/binding.js';
import { addError, retargetError } from '../engine/engine-errors.js';
import { ForwardTable, type Entry } from '../engine/forward-table.js';
import { keyOf } from '../engine/host-sockets.js';
import { Listeners } from '../engine/listeners.js';
import { SessionEnds } from '../engine/session-ends.js';
import { forwardsOf, freezeForward, freezeStats, retargetedForward } from '../engine/snapshots.js';
import { closedError, SpliceportError } from '../errors.js';
import type { ForwarderOperations } from '../operations.js';
import { shownNetnsPath } from '../spec/netns.js';
import {
  resolveChange,
  resolveDrainMs,
  resolveForwards,
  resolveId,
  resolveIds,
  resolveOptions,
  resolveSingle,
  type ResolvedChange,
  type ResolvedRange,
} from '../spec/validate.js';
import type { SourceAddress } from '../types/endpoints.js';
import type { ForwardSpec, SocketForwardSpec, TargetChange } from '../types/forward-spec.js';
import type { Stats } from '../types/forward-stats.js';
import type { Forward, ForwarderEvents } from '../types/forwards.js';
import type { CloseOptions, ForwarderOptions } from '../types/options.js';
import type { Session } from '../types/session.js';
import { at, atMost } from '../util.js';
import { adoptedEntries } from './adopt.js';
import { noStats } from './messages.js';
import { OperationQueue, type Turn } from './operation-queue.js';
import {
  addForwards,
  closeSockets,
  readSessions,
  readStats,
  removeForwards,
  retargetForwards,
  takeEnded,
  type OpenedNetns,
} from './sections.js';
import { connectionLost, RequestError, type Shim } from './shim.js';
import { ShimNamespaces } from './shim-netns.js';
import { ShimOpener, type Opened } from './shim-opener.js';
import { StatsBatch } from './stats-batch.js';

/**
 * What a {@link RemoteForwarder} takes. Settings of an engine say nothing to a shim that has one
 * already.
 */
export type RemoteOptions = Omit<ForwarderOptions, 'engine' | 'signal'>;

type AnySpec = ForwardSpec | SocketForwardSpec | string;

/**
 * The forwards of one shim, from its hello on. Changes are made one after the other, and in force
 * when their promise is fulfilled. When the shim ends, the forwarder is closed; it tells nobody
 * that forwards were removed then.
 */
export class RemoteForwarder implements ForwarderOperations {
  readonly #shim: Shim;
  readonly #defaultNetnsPath: string | undefined;
  readonly #queue = new OperationQueue();
  readonly #table = new ForwardTable<OpenedNetns>();
  readonly #listeners = new Listeners({
    sharesPids: () => this.#shim.sharesPids,
    active: () => this.list(),
  });
  readonly #namespaces: ShimNamespaces;
  readonly #opener: ShimOpener;
  readonly #ends: SessionEnds;
  readonly #batch: StatsBatch;
  #nextId = 1;
  #closed = false;
  /** Of all forwards, as they were read last. */
  #lastStats = freezeStats(noStats());
  /** Set when the forwards have ended. */
  #finalStats: Stats | undefined;

  /**
   * Takes over the forwards that the shim has, if any.
   * @throws TypeError `ERR_SPLICEPORT_INVALID_ARG_TYPE`
   * @throws RangeError `ERR_SPLICEPORT_OUT_OF_RANGE`
   */
  constructor(shim: Shim, options: RemoteOptions = {}) {
    const { netnsPath, engineOptions, onSessionsEnded } = resolveOptions(options);
    this.#shim = shim;
    this.#defaultNetnsPath = netnsPath;
    this.#namespaces = new ShimNamespaces(shim);
    const tellsOfEnds = onSessionsEnded !== undefined;
    this.#opener = new ShimOpener(shim, this.#namespaces, { engineOptions, tellsOfEnds });
    this.#batch = new StatsBatch(shim);
    this.#ends = new SessionEnds((most) => this.#takeEnded(most), onSessionsEnded);
    shim.tellOfForwards({
      onGone: (ids) => {
        for (const id of ids) this.#table.finishRemoval(id);
      },
      onFailed: (failures) => {
        for (const each of failures) this.#listeners.tellOfFailure(this.get(each.id), each);
      },
      onSessionsEnded: () => this.#deliverEnds(),
      onEnd: (lastWords) => {
        if (lastWords !== undefined) this.#ends.finishWith(lastWords.ended);
        this.#end(lastWords === undefined ? this.#lastStats : freezeStats(lastWords.stats));
      },
    });
    const state = shim.hello?.state;
    if (state === undefined) return;
    this.#nextId = state.nextId;
    for (const entry of adoptedEntries(state, this.#namespaces)) this.#table.add(entry);
    for (const netns of state.namespaces) this.#namespaces.closeUnused(netns);
    if (tellsOfEnds) this.#deliverEnds();
    this.#queue.run(() => this.#findWarnings()).catch(() => undefined);
  }

  get closed(): boolean {
    return this.#closed;
  }

  async add(spec: AnySpec): Promise<Forward> {
    this.#assertOpen();
    const wanted = [resolveSingle(spec, this.#defaultNetnsPath)];
    return at(await this.#queue.run((turn) => this.#addAll(wanted, turn)), 0);
  }

  async addAll(specs: readonly AnySpec[]): Promise<Forward[]> {
    this.#assertOpen();
    const wanted = resolveForwards(specs, this.#defaultNetnsPath);
    return this.#queue.run((turn) => this.#addAll(wanted, turn));
  }

  async remove(ids: number | readonly number[], options: CloseOptions = {}): Promise<void> {
    this.#assertOpen();
    const drainMs = resolveDrainMs(options);
    const entries = resolveIds(ids).map((id) => this.#table.require(id));
    await this.#removeEntries(entries, drainMs);
  }

  list(): Forward[] {
    return this.#table.active();
  }

  get(id: number): Forward | undefined {
    return this.#table.activeAt(id);
  }

  async retarget(ids: number | readonly number[], change: TargetChange): Promise<void> {
    this.#assertOpen();
    const resolved = resolveChange(change);
    const wanted = resolveIds(ids);
    for (const id of wanted) this.#table.requireActive(id);
    await this.#queue.run(() => this.#retarget(wanted, resolved));
  }

  async stats(id?: number): Promise<Stats> {
    if (id !== undefined) this.#table.require(resolveId('id', id));
    if (this.#finalStats !== undefined) return this.#finalStats;
    if (!this.#opener.hasEngine) return this.#lastStats;
    const stats = freezeStats(await this.#batch.read(id));
    if (id === undefined) this.#lastStats = stats;
    return stats;
  }

  async sessions(): Promise<Session[]> {
    if (this.#finalStats !== undefined || !this.#opener.hasEngine) return [];
    const [sessions] = await this.#shim.request([readSessions()]);
    return sessions;
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const drainMs = resolveDrainMs(options);
    this.#closed = true;
    if (drainMs > 0 && this.#finalStats === undefined) {
      const drained = this.#removeEntries(this.#table.all(), drainMs).catch(() => undefined);
      await atMost(drainMs, drained);
    }
    await this.#queue.run(() => this.#finish()).catch(() => undefined);
  }

  on<E extends keyof ForwarderEvents>(
    event: E,
    listener: (...args: ForwarderEvents[E]) => void | Promise<void>,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  off<E extends keyof ForwarderEvents>(
    event: E,
    listener: (...args: ForwarderEvents[E]) => void | Promise<void>,
  ): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  async #addAll(wanted: readonly ResolvedRange[], turn: Turn): Promise<Forward[]> {
    refuseGivenSockets(wanted);
    refuseTaken(wanted, this.#nextId, this.#table.idAt);
    if (wanted.length === 0) return [];
    const opened = await this.#opener.open(wanted);
    const forwards = await this.#start(wanted, opened);
    this.#listeners.tellOfAdded(forwards);
    if (turn.isLate) {
      // Whoever asked for them believes that they are not there.
      await this.#startRemoval(
        forwards.map(({ id }) => this.#table.require(id)),
        0,
      );
    }
    return forwards;
  }

  /**
   * Gives the forwards to the engine, and takes note of them; nothing stays open of what failed.
   */
  async #start(
    wanted: readonly ResolvedRange[],
    { hosts, namespaces }: Opened,
  ): Promise<Forward[]> {
    const release = () => {
      for (const [index, { count }] of wanted.entries()) {
        this.#namespaces.release(at(namespaces, index), count);
      }
    };
    try {
      refuseCircles(linksOf(wanted, hosts, namespaces), this.#table.linkAt);
    } catch (error) {
      release();
      await this.#shim.request([closeSockets()], Infinity);
      throw error;
    }
    const ranges = wanted.map(({ host: { protocol }, container, count, settings }, index) => {
      const firstId = this.#nextId;
      this.#nextId += count;
      const { slot } = at(namespaces, index);
      return { firstId, protocol, slot, count, container, settings };
    });
    try {
      const shown = wanted.map(({ netnsPath, settings }, index) => {
        const path = shownNetnsPath(netnsPath);
        return { sourceAddress: settings.sourceAddress, netns: at(namespaces, index), path };
      });
      await this.#namespaces.requestWith(addForwards(ranges), shown.filter(isTransparent));
    } catch (error) {
      release();
      throw error instanceof RequestError ? addError(error.failure, hosts) : error;
    }
    return wanted.flatMap((range, index) => {
      const netns = at(namespaces, index);
      const warning = this.#warningFor(range.settings, netns);
      const forwards = forwardsOf(at(ranges, index).firstId, range, at(hosts, index), warning);
      for (const forward of forwards) {
        this.#table.add({ forward, netns, hostKey: keyOf(forward.protocol, forward.host) });
      }
      return forwards;
    });
  }

  async #retarget(ids: readonly number[], change: ResolvedChange): Promise<void> {
    const entries = ids.map((id) => this.#table.requireActive(id));
    const { netnsPath } = change;
    const opened =
      netnsPath === undefined ? undefined : await this.#opener.openNetns(netnsPath, entries.length);
    const changes = entries.map((entry) => {
      const forward = retargetedForward(entry.forward, change);
      return { entry, before: entry.forward, netns: opened ?? entry.netns, forward };
    });
    try {
      refuseNewCircles(changes, this.#table.linkAt);
      const targets = changes.map(({ forward: { id, container } }) => {
        return { id, container, slot: opened?.slot };
      });
      const shown = changes.map(({ netns, forward: { sourceAddress, netnsPath: path } }) => {
        return { sourceAddress, netns, path };
      });
      await this.#namespaces.requestWith(retargetForwards(targets), shown.filter(isTransparent));
    } catch (error) {
      if (opened !== undefined) this.#namespaces.release(opened, entries.length);
      if (!(error instanceof RequestError)) throw error;
      throw retargetError(
        error.failure,
        changes.map(({ forward }) => forward),
      );
    }
    const changed = changes.map(({ entry, before, netns, forward: target }) => {
      const forward = freezeForward({ ...target, ...this.#warningFor(target, netns) });
      if (opened !== undefined) this.#namespaces.release(entry.netns, 1);
      Object.assign(entry, { netns, forward });
      return { forward, before };
    });
    this.#listeners.tellOfRetargeted(changed);
  }

  /** The shim does not know what an earlier resident has found out. */
  async #findWarnings(): Promise<void> {
    const active = this.#table.all().filter(({ removal }) => removal === undefined);
    const entries = active.filter(({ forward }) => isTransparent(forward));
    const shown = entries.map(({ netns, forward }) => ({ netns, path: forward.netnsPath }));
    await this.#namespaces.requestWith(undefined, shown);
    for (const entry of entries) {
      const warning = this.#warningFor(entry.forward, entry.netns);
      entry.forward = freezeForward({ ...entry.forward, ...warning });
    }
  }

  #warningFor(
    shown: { readonly sourceAddress: SourceAddress },
    netns: OpenedNetns,
  ): { warning?: string } {
    const warning = isTransparent(shown) ? this.#namespaces.warningFor(netns) : undefined;
    return warning === undefined ? {} : { warning };
  }

  /** Ends forwards, and waits for their last sessions. */
  async #removeEntries(entries: readonly Entry<OpenedNetns>[], drainMs: number): Promise<void> {
    await this.#queue.run(() => {
      // It has ended them, but not as it was told to.
      if (!this.#shim.isOpen) throw connectionLost();
      return this.#startRemoval(entries, drainMs);
    });
    await this.#table.gone(entries);
  }

  async #startRemoval(entries: readonly Entry<OpenedNetns>[], drainMs: number): Promise<void> {
    const active = this.#table.startRemoval(entries);
    if (active.length === 0) return;
    const ids = active.map(({ forward }) => forward.id);
    await this.#shim.request([removeForwards(ids, drainMs)], Infinity);
    for (const { netns } of active) this.#namespaces.release(netns, 1);
    this.#listeners.tellOfRemoved(active);
  }

  /** Ends everything, those that drain among them. */
  async #finish(): Promise<void> {
    if (this.#finalStats !== undefined) return;
    const all = this.#table.all();
    const active = this.#table.startRemoval(all);
    let stats = noStats();
    if (this.#opener.hasEngine) {
      const ids = all.map(({ forward }) => forward.id);
      const total = readStats([undefined], this.#shim.statsReader);
      const [totals] = await this.#shim.request([total, removeForwards(ids, 0)], Infinity);
      stats = { ...at(totals, 0), sessionsOpen: 0 };
      await this.#ends.finish();
    }
    this.#end(freezeStats(stats));
    for (const { netns } of active) this.#namespaces.release(netns, 1);
    this.#listeners.tellOfRemoved(active);
  }

  /** Takes note that there are no forwards any more. */
  #end(stats: Stats): void {
    this.#closed = true;
    this.#finalStats ??= Object.freeze({ ...stats, sessionsOpen: 0 });
    const all = this.#table.all();
    this.#table.startRemoval(all);
    this.#listeners.forget(all);
    for (const { forward } of all) this.#table.finishRemoval(forward.id);
  }

  async #takeEnded(most: number): Promise<readonly NativeEndedSession[]> {
    if (this.#finalStats !== undefined || !this.#opener.hasEngine) return [];
    const [ended] = await this.#shim.request([takeEnded(most)], Infinity);
    return ended;
  }

  /** What cannot be had any more is lost. */
  #deliverEnds(): void {
    this.#ends.deliver().catch(() => undefined);
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}

function isTransparent(shown: { readonly sourceAddress: SourceAddress }): boolean {
  return shown.sourceAddress === 'transparent';
}

/** The shim opens its sockets itself. */
function refuseGivenSockets(wanted: readonly ResolvedRange[]): void {
  for (const { host } of wanted) {
    if (host.fd === undefined) continue;
    const message = `Descriptor ${host.fd} is one of this process, and another process has the ports`;
    throw new SpliceportError('ERR_SPLICEPORT_UNSUITABLE_SOCKET', message);
  }
}
