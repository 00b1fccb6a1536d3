// troubles.ts: sums up what went wrong with connections, so that a log has a line for an interval and not for each.

import type { Stats } from '../index.js';

/** What is told of, and in which words. */
const counted = {
  connectFailures: 'connects to the container failed',
  acceptRests: 'rests of listeners for want of descriptors or memory',
  localFailures: 'sessions ended because a call failed on this machine',
  flowsEvicted: 'UDP flows ended early to stay within maxFlows',
  datagramsDropped: 'datagrams dropped',
  datagramsLostInKernel: 'datagrams lost in the kernel',
  sessionsDenied: 'refused by allow and deny',
  sessionsOverLimit: 'refused beyond maxSessions',
  sessionsOverRate: 'refused beyond maxSessionsPerSecond',
  proxySourcesUntrusted: 'refused for PROXY headers of others than trustedProxies',
  proxyHeadersMalformed: 'refused for wrong PROXY headers',
  proxyHeadersLate: 'refused for late PROXY headers',
} as const satisfies Partial<Record<keyof Stats, string>>;

type Counter = keyof typeof counted;

/** What has gone wrong within an interval. */
export interface Trouble {
  readonly facts: Readonly<Partial<Record<Counter, number>>>;
  /** `3 connects to the container failed, 1 …` */
  readonly message: string;
}

/** Compares counters with those of the time before. */
export class Troubles {
  #before: Pick<Stats, Counter> | undefined;

  /** What has gone wrong since the time before; undefined when nothing has. */
  since(stats: Pick<Stats, Counter>): Trouble | undefined {
    const before = this.#before;
    this.#before = stats;
    const news = (Object.keys(counted) as Counter[])
      .map((key) => [key, stats[key] - (before?.[key] ?? 0)] as const)
      .filter(([, count]) => count > 0);
    if (news.length === 0) return undefined;
    return {
      facts: Object.fromEntries(news),
      message: news.map(([key, count]) => `${count} ${counted[key]}`).join(', '),
    };
  }
}
