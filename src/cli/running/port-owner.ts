// port-owner.ts: which process has a host port, as far as this user can see in /proc.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { endianness } from 'node:os';
import { normalize } from 'node:path';
import type { ForwardSpec, Protocol } from '../../index.js';
import { parseAddress } from '../../address.js';
import { CliFailure } from '../failure.js';
import { helperIn } from '../podman/helpers.js';
import { findMonitors, labelOf } from '../podman/monitors.js';
import { allPids, commandOf } from './processes.js';

/** A listening socket. */
interface HostSocket {
  /** In the notation of {@link parseAddress}. */
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: string;
}

const TCP_LISTEN = '0A';
const UDP_UNCONNECTED = '07';

/** An endpoint that could not be bound. */
export interface WantedEndpoint {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** The same failure; if a port is in use, with a hint that names the process. */
export function withPortOwner(failure: CliFailure, specs: readonly ForwardSpec[]): CliFailure {
  if (failure.code !== 'EADDRINUSE') return failure;
  const hint = describePortOwner(specs.flatMap(endpointsOf)) ?? failure.hint;
  return new CliFailure(failure.exitCode, failure.message, {
    hint,
    code: failure.code,
    cause: failure,
  });
}

/** The endpoints of a specification, without ports that the kernel picks. */
function endpointsOf({ protocol = 'tcp', host, count = 1 }: ForwardSpec): WantedEndpoint[] {
  if (host.port === 0) return [];
  // The unspecified address means every address of both families here.
  const { address = '::', port } = host;
  return Array.from({ length: count }, (_, index) => ({ protocol, address, port: port + index }));
}

/** A sentence about the process that has one of these endpoints; undefined if none can be seen. */
export function describePortOwner(endpoints: readonly WantedEndpoint[]): string | undefined {
  const taken = {
    tcp: hostSockets('tcp'),
    udp: hostSockets('udp'),
  };
  for (const { protocol, address, port } of endpoints) {
    const sockets = taken[protocol].filter(
      (socket) => socket.port === port && collide(socket.address, address),
    );
    const [socket] = sockets;
    if (socket === undefined) continue;
    const inodes = new Set(sockets.map(({ inode }) => `socket:[${inode}]`));
    const owner = allPids().find((pid) => holds(pid, inodes));
    return owner === undefined
      ? `A process of ${userName(socket.uid)} uses port ${port}; "sudo ss -anp" shows which.`
      : `Process ${owner} uses port ${port}: ${describeProcess(owner)}`;
  }
  return undefined;
}

/**
 * Its command line; a helper’s program and container, which is to be stopped if the port is wanted.
 */
function describeProcess(pid: number): string {
  const helper = helperIn(pid);
  if (helper === undefined) return commandOf(pid);
  const container = findMonitors()(pid);
  return container === undefined
    ? normalize(helper)
    : `${normalize(helper)} (container ${labelOf(container)})`;
}

/** Two addresses cannot share a port if they are equal, or if one of them means every address. */
function collide(one: string, other: string): boolean {
  if (one === other || one === '::' || other === '::') return true;
  return [one, other].includes('0.0.0.0') && !one.includes(':') && !other.includes(':');
}

function hostSockets(protocol: Protocol): HostSocket[] {
  const state = protocol === 'tcp' ? TCP_LISTEN : UDP_UNCONNECTED;
  return [`/proc/net/${protocol}`, `/proc/net/${protocol}6`].flatMap((file) =>
    readLines(file).flatMap((line): HostSocket[] => {
      const fields = line.trim().split(/\s+/);
      const [, local = '', , socketState, , , , uid, , inode = ''] = fields;
      const [address = '', port = ''] = local.split(':');
      if (socketState !== state || port === '') return [];
      const where = { address: decodeAddress(address), port: parseInt(port, 16) };
      return [{ ...where, uid: Number(uid), inode }];
    }),
  );
}

/**
 * The kernel prints an address as 32-bit words of the machine's byte order. @see proc_pid_net(5)
 */
function decodeAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const octets = [...Buffer.from(word, 'hex')];
    return endianness() === 'LE' ? octets.reverse() : octets;
  });
  const text =
    bytes.length === 4
      ? bytes.join('.')
      : (Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? []).join(':');
  return parseAddress(text)?.address ?? text;
}

function holds(pid: number, links: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return links.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false; // Closed meanwhile.
      }
    });
  } catch {
    return false; // Another user's process.
  }
}

function userName(uid: number): string {
  const entry = readLines('/etc/passwd').find((line) => line.split(':')[2] === String(uid));
  return entry === undefined ? `user ${uid}` : `user ${entry.split(':')[0] ?? ''}`;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}
