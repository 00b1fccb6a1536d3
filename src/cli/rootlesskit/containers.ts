// containers.ts: finds the containers behind the ports of rootless Docker. A docker-proxy in
// RootlessKit's namespaces takes each of them on, and its command line says where to.

import { readFileSync, readlinkSync } from 'node:fs';
import type { Protocol } from '../../index.js';
import { allPids, attempt, wordsOf } from '../running/processes.js';
import { hasAddress } from './netns-addresses.js';

/** Where a docker-proxy leads. */
export interface Backend {
  readonly address: string;
  readonly port: number;
  /** A process in the container that has this address. */
  readonly pid: number;
}

/** A port in RootlessKit's network namespace. */
export interface InnerPort {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** What there is at one moment: one look at all processes, for any number of ports. */
export class Containers {
  readonly #pids = allPids();
  /** Where the docker-proxy of a port leads; null if there are several, to different places. */
  readonly #places = new Map<string, Place | null>();
  /** A process in each network namespace that Docker keeps for a container. */
  readonly #inhabitants = new Map<string, number>();

  /** @param child - The process that RootlessKit has started in its namespaces. */
  constructor(child: number) {
    this.#findProxies(child);
    if (this.#places.size > 0) this.#findInhabitants(child);
  }

  /** The container behind a port; undefined if none is certain. */
  behind(port: InnerPort): Backend | undefined {
    const place = this.#places.get(nameOf(port)) ?? undefined;
    if (place === undefined) return undefined;
    const pids = [...this.#inhabitants.values()].filter((pid) => hasAddress(pid, place.address));
    const [pid, ...others] = pids;
    return pid === undefined || others.length > 0 ? undefined : { ...place, pid };
  }

  /**
   * A program with `docker-proxy` in its command line is believed only in RootlessKit's own
   * namespaces, which no container is in.
   */
  #findProxies(child: number): void {
    const own = namespacesOf(child);
    for (const pid of this.#pids) {
      const proxy = proxyIn(wordsOf(pid));
      if (proxy === undefined || own === undefined || namespacesOf(pid) !== own) continue;
      const { name, place } = proxy;
      const known = this.#places.get(name);
      // The docker-proxy of Docker 20.10 is a child of RootlessKit's, with the same flags.
      const isSame = known?.address === place.address && known.port === place.port;
      this.#places.set(name, known === undefined || isSame ? place : null);
    }
  }

  #findInhabitants(child: number): void {
    const sandboxes = sandboxesOf(child);
    for (const pid of this.#pids) {
      const netns = link(pid, 'net');
      if (netns === undefined || !sandboxes.has(netns)) continue;
      if (!this.#inhabitants.has(netns)) this.#inhabitants.set(netns, pid);
    }
  }
}

const nameOf = ({ protocol, address, port }: InnerPort): string => `${protocol} ${address} ${port}`;

/** Which port a docker-proxy serves, and where it leads. */
function proxyIn(words: readonly string[]): { name: string; place: Place } | undefined {
  const [protocol, address, port, inside, insidePort] = [
    ...['proto', 'host-ip', 'host-port', 'container-ip', 'container-port'],
  ].map((flag) => valueOf(words, flag));
  if (inside === undefined || insidePort === undefined) return undefined;
  return {
    name: `${protocol} ${address} ${port}`,
    place: { address: inside, port: Number(insidePort) },
  };
}

/** The value of a flag of docker-proxy, which dockerd writes as `-flag value`. */
function valueOf(words: readonly string[], flag: string): string | undefined {
  const index = words.indexOf(`-${flag}`);
  return index < 0 ? undefined : words[index + 1];
}

function namespacesOf(pid: number): string | undefined {
  const links = ['user', 'mnt', 'net', 'pid'].map((kind) => link(pid, kind));
  return links.includes(undefined) ? undefined : links.join(' ');
}

function link(pid: number, kind: string): string | undefined {
  return attempt(() => readlinkSync(`/proc/${pid}/ns/${kind}`));
}

/**
 * The network namespaces that Docker keeps for containers: mounts that only RootlessKit's
 * processes see.
 */
function sandboxesOf(child: number): Set<string> {
  const mounts = attempt(() => readFileSync(`/proc/${child}/mountinfo`, 'utf8')) ?? '';
  const roots = mounts.split('\n').map((line) => line.split(' ')[3] ?? '');
  return new Set(roots.filter((root) => root.startsWith('net:[')));
}
