// shim-opener.ts: has a shim open what forwards need: threads, sockets and namespaces, in one
// request.

import type { NativeFailure } from '../engine/binding.js';
import {
  grantedRanges,
  hostSocketError,
  withoutIpv6,
  type GrantedRange,
  type HostRange,
} from '../engine/host-sockets.js';
import { SpliceportSystemError } from '../errors.js';
import { engineHint } from '../hints.js';
import { netnsError, OWN_NETNS, shownNetnsPath } from '../spec/netns.js';
import type { EngineSettings, ResolvedRange } from '../spec/validate.js';
import { at } from '../util.js';
import {
  closeSockets,
  openNetns,
  openSockets,
  startEngine,
  type OpenedNetns,
  type Section,
} from './sections.js';
import { RequestError, type Shim } from './shim.js';
import type { ShimNamespaces } from './shim-netns.js';

/** What the engine of a shim is started with. */
export interface EngineStart {
  readonly engineOptions: EngineSettings;
  readonly tellsOfEnds: boolean;
}

/** Sockets and namespaces, which are open and have no forwards yet. */
export interface Opened {
  readonly hosts: readonly GrantedRange[];
  /** Of each range, which is counted as a user for each of its ports. */
  readonly namespaces: readonly OpenedNetns[];
}

interface Granted {
  readonly ports: readonly number[];
  readonly namespaces: readonly OpenedNetns[];
}

/** Opens things, all or none; and the engine before the first of them. */
export class ShimOpener {
  readonly #shim: Shim;
  readonly #namespaces: ShimNamespaces;
  readonly #start: EngineStart;
  /** Of a shim that comes ready but has had no forward it is not known. */
  #hasEngine: boolean | undefined;

  constructor(shim: Shim, namespaces: ShimNamespaces, start: EngineStart) {
    this.#shim = shim;
    this.#namespaces = namespaces;
    this.#start = start;
    const state = shim.hello?.state;
    this.#hasEngine = state === undefined ? false : state.nextId > 1 || undefined;
  }

  /** Whether there is anything that counts and lists. */
  get hasEngine(): boolean {
    return this.#hasEngine === true;
  }

  /**
   * Opens the sockets and namespaces of ranges.
   * @throws SpliceportSystemError with the side that failed
   * @throws SpliceportError `ERR_SPLICEPORT_NETNS_GONE`
   */
  async open(wanted: readonly ResolvedRange[]): Promise<Opened> {
    const paths = [...new Set(wanted.map(({ netnsPath }) => netnsPath))];
    let ranges: readonly HostRange[] = wanted.map(({ host, count }) => ({ ...host, count }));
    let granted = await this.#attempt(ranges, paths);
    if ('errno' in granted) {
      ranges = withoutIpv6(granted, ranges);
      granted = await this.#attempt(ranges, paths);
      if ('errno' in granted) throw hostSocketError(granted, ranges);
    }
    const { ports, namespaces } = granted;
    return {
      hosts: grantedRanges(ranges, ports),
      namespaces: wanted.map(({ netnsPath, count }) =>
        this.#namespaces.hold(at(namespaces, paths.indexOf(netnsPath)), count),
      ),
    };
  }

  /**
   * Opens one namespace.
   * @throws SpliceportSystemError with side `container`
   * @throws SpliceportError `ERR_SPLICEPORT_NETNS_GONE`
   */
  async openNetns(path: string, users: number): Promise<OpenedNetns> {
    try {
      const [netns] = await this.#shim.request([netnsSection(path)], Infinity);
      return this.#namespaces.hold(netns, users);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      throw netnsError(error.failure, shownNetnsPath(path));
    }
  }

  /** What was granted, or why the sockets were not. */
  async #attempt(
    ranges: readonly HostRange[],
    paths: readonly string[],
  ): Promise<Granted | NativeFailure> {
    const { engineOptions, tellsOfEnds } = this.#start;
    const engine = this.hasEngine ? [] : [startEngine(engineOptions, tellsOfEnds)];
    const sections: Section<unknown>[] = [
      ...engine,
      openSockets(ranges),
      ...paths.map((path) => netnsSection(path)),
    ];
    try {
      const results = (await this.#shim.request(sections, Infinity)).slice(engine.length);
      this.#hasEngine = true;
      return { ports: results[0] as number[], namespaces: results.slice(1) as OpenedNetns[] };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const { failure, results } = error;
      const failed = failure.section - engine.length;
      if (failed < 0) return this.#withoutEngine(failure, ranges, paths);
      this.#hasEngine = true;
      if (failed === 0) return failure;
      for (const netns of results.slice(engine.length + 1) as OpenedNetns[]) {
        this.#namespaces.closeUnused(netns);
      }
      await this.#shim.request([closeSockets()], Infinity);
      throw netnsError(failure, shownNetnsPath(at(paths, failed - 1)));
    }
  }

  /** It may be there already. */
  #withoutEngine(
    failure: NativeFailure,
    ...rest: readonly [ranges: readonly HostRange[], paths: readonly string[]]
  ): Promise<Granted | NativeFailure> {
    if (this.#hasEngine === undefined && failure.syscall === 'section') {
      this.#hasEngine = true;
      return this.#attempt(...rest);
    }
    throw new SpliceportSystemError(failure, { hint: engineHint(failure) });
  }
}

function netnsSection(path: string): Section<OpenedNetns> {
  return openNetns(path === OWN_NETNS ? '' : path);
}
