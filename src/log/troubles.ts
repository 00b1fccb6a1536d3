// troubles.ts: sums up what went wrong with connections, so that a log has a line for an interval
// and not for each.

import { getSystemErrorMap } from 'node:util';
import { formatEndpoint } from '../address.js';
import type { Endpoint, Forward, Protocol, Stats } from '../index.js';
import type { ForwarderOperations } from '../operations.js';

/** What is told of, and in which words: of one, and of several. */
const counted = {
  connectFailures: ['connection to the container failed', 'connections to the container failed'],
  acceptPauses: [
    'pause of a listener that could not accept, for example for lack of descriptors',
    'pauses of listeners that could not accept, for example for lack of descriptors',
  ],
  localFailures: [
    'session ended because a system call failed on this machine',
    'sessions ended because a system call failed on this machine',
  ],
  flowsEvicted: [
    'UDP flow ended early to stay within maxFlows',
    'UDP flows ended early to stay within maxFlows',
  ],
  flowsDisplaced: [
    'UDP flow ended early for lack of descriptors',
    'UDP flows ended early for lack of descriptors',
  ],
  datagramsDropped: ['datagram dropped', 'datagrams dropped'],
  datagramsLostInKernel: ['datagram lost in the kernel', 'datagrams lost in the kernel'],
  sessionsDenied: ['client rejected by allow and deny', 'clients rejected by allow and deny'],
  sessionsOverLimit: ['client rejected by maxSessions', 'clients rejected by maxSessions'],
  sessionsOverRate: [
    'client rejected by maxSessionsPerSecond',
    'clients rejected by maxSessionsPerSecond',
  ],
  sessionsOverClientLimit: [
    'client rejected by maxSessionsPerClient',
    'clients rejected by maxSessionsPerClient',
  ],
  proxySourcesUntrusted: [
    'client rejected: not one of trustedProxies',
    'clients rejected: not among trustedProxies',
  ],
  proxyHeadersMalformed: [
    'client rejected for an invalid PROXY header',
    'clients rejected for invalid PROXY headers',
  ],
  sessionLogDropped: [
    'session missing in the log, whose reader was too slow',
    'sessions missing in the log, whose reader was too slow',
  ],
  proxyHeadersLate: [
    'client rejected for a late PROXY header',
    'clients rejected for late PROXY headers',
  ],
} as const satisfies Partial<Record<keyof Stats, readonly [one: string, several: string]>>;

type Counter = keyof typeof counted;

const MAX_NAMED = 3;

/** A forward whose target could not be reached. */
interface FailedForward extends Pick<
  Stats,
  'connectError' | 'connectFailures' | 'connectTimeouts'
> {
  readonly id: number;
  readonly target: Forward['container'];
}

/** What has gone wrong within an interval. */
export interface Trouble {
  readonly facts: Readonly<Partial<Record<Counter, number>>> & {
    /** With `connectFailures`: which forwards they were of. */
    readonly failedForwards?: readonly FailedForward[];
  };
  /**
   * `1 connection to the container failed (tcp 127.0.0.1:8080 -> 127.0.0.1:80: connection refused
   * (ECONNREFUSED)), 1 …`
   */
  readonly message: string;
}

/** What is needed of a forwarder. */
type Counted = Pick<ForwarderOperations, 'list' | 'stats'>;

/** Compares a forwarder's counters with those of the time before. */
export class Troubles {
  readonly #forwarder: Counted;
  readonly #intervalMs: number;
  #failuresBefore: ReadonlyMap<number, Stats> = new Map();
  #before: Pick<Stats, Counter> | undefined;
  #quietUntilMs = 0;

  /** @param intervalMs - How long news are gathered after some were told. */
  constructor(forwarder: Counted, intervalMs: number) {
    this.#forwarder = forwarder;
    this.#intervalMs = intervalMs;
  }

  /**
   * What is to be told now: the first trouble at once, and what follows once per interval. One call
   * at a time.
   * @param nowMs - Of a clock that never goes back.
   */
  async due(nowMs: number): Promise<Trouble | undefined> {
    if (nowMs < this.#quietUntilMs) return undefined;
    const trouble = await this.rest();
    if (trouble !== undefined) this.#quietUntilMs = nowMs + this.#intervalMs;
    return trouble;
  }

  /** What has gone wrong since the time before, told or not; undefined when nothing has. */
  async rest(): Promise<Trouble | undefined> {
    const stats = await this.#forwarder.stats();
    const before = this.#before;
    this.#before = stats;
    const news = (Object.keys(counted) as Counter[])
      .map((key) => [key, stats[key] - (before?.[key] ?? 0)] as const)
      .filter(([, count]) => count > 0);
    if (news.length === 0) return undefined;
    const failed = news.some(([key]) => key === 'connectFailures')
      ? await this.#failedForwards()
      : [];
    return {
      facts: {
        ...Object.fromEntries(news),
        ...(failed.length > 0 && { failedForwards: failed.map(({ fact }) => fact) }),
      },
      message: news
        .map(([key, count]) => {
          const text = `${count} ${counted[key][count === 1 ? 0 : 1]}`;
          return key === 'connectFailures' ? `${text}${namesOf(failed)}` : text;
        })
        .join(', '),
    };
  }

  /** Each forward is asked only when a connection has failed. */
  async #failedForwards() {
    const forwards = this.#forwarder.list();
    const each = forwards.map(async ({ id }) => [id, await this.#forwarder.stats(id)] as const);
    const now = new Map(await Promise.all(each));
    const allBefore = this.#failuresBefore;
    this.#failuresBefore = now;
    return forwards.flatMap((forward) => {
      const { id, container: target } = forward;
      const stats = now.get(id);
      const before = allBefore.get(id);
      if (stats === undefined) return [];
      const connectFailures = stats.connectFailures - (before?.connectFailures ?? 0);
      const connectTimeouts = stats.connectTimeouts - (before?.connectTimeouts ?? 0);
      if (connectFailures === 0) return [];
      const { connectError } = stats;
      return [
        {
          forward,
          fact: {
            id,
            target,
            connectFailures,
            connectTimeouts,
            // With timeouts alone it is of an earlier failure.
            ...(connectTimeouts < connectFailures &&
              connectError !== undefined && { connectError }),
          },
        },
      ];
    });
  }
}

function namesOf(
  failed: readonly { readonly forward: Forward; readonly fact: FailedForward }[],
): string {
  if (failed.length === 0) return '';
  const names = failed
    .slice(0, MAX_NAMED)
    .map(({ forward, fact }) => `${pathOf(forward)}: ${reasonOf(fact)}`);
  const more = failed.length - names.length;
  return ` (${names.join('; ')}${more > 0 ? `; and ${more} more` : ''})`;
}

function reasonOf({ connectError, connectTimeouts }: FailedForward): string {
  const reasons = [
    ...(connectError === undefined ? [] : [textOf(connectError)]),
    ...(connectTimeouts > 0 ? ['no answer in time'] : []),
  ];
  return reasons.join(', or ');
}

/** `connection refused (ECONNREFUSED)` */
function textOf(code: string): string {
  for (const [name, text] of getSystemErrorMap().values()) {
    if (name === code) return `${text} (${code})`;
  }
  return code;
}

/** `tcp 127.0.0.1:8080 -> 127.0.0.1:80` */
export function pathOf({
  protocol,
  host,
  container,
}: {
  readonly protocol: Protocol;
  readonly host: Endpoint;
  readonly container: Endpoint;
}): string {
  return `${protocol} ${formatEndpoint(host)} -> ${formatEndpoint(container)}`;
}
