// sockets.ts: sockets that systemd has passed to this process. @see sd_listen_fds(3)

import {
  parsePortSpec,
  type ForwardSpec,
  type Protocol,
  type SocketForwardSpec,
} from '../../index.js';
import { formatEndpoint } from '../../address.js';
import { describeSocket } from '../../system.js';
import { usageFailure } from '../failure.js';
import { isForUs } from './own-variables.js';

const FIRST_FD = 3;

/** A socket that systemd has opened. */
export interface PassedSocket {
  readonly fd: number;
  /** FileDescriptorName=; by default, the name of the socket unit. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** The descriptors that systemd has passed, whatever they are. */
export function passedFds(): number[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '' } = process.env;
  if (!isForUs(pid) || !/^\d{1,4}$/.test(count)) return [];
  return Array.from({ length: Number(count) }, (_, index) => FIRST_FD + index);
}

/**
 * The sockets that systemd has passed.
 * @throws CliFailure if one of them cannot be forwarded
 */
export function passedSockets(): PassedSocket[] {
  const names = (process.env['LISTEN_FDNAMES'] ?? '').split(':');
  return passedFds().map((fd, index) => {
    const name = names[index] ?? '';
    const facts = describeSocket(fd);
    const isTcp = facts?.isStream === true && facts.isListening;
    const isUdp = facts?.isDatagram === true && !facts.isConnected;
    if (facts?.isIp !== true || !(isTcp || isUdp)) {
      throw usageFailure(
        `descriptor ${fd}${name === '' ? '' : ` (${name})`}, which systemd passed, is not a listening TCP or UDP socket`,
        'In the socket unit, use ListenStream= or ListenDatagram= with a port, and not Accept=yes.',
      );
    }
    const { address, port } = facts;
    return { fd, name, protocol: isTcp ? 'tcp' : 'udp', address, port };
  });
}

/** Whether a port specification names sockets rather than an address: `@web:80`. */
export function isByName(text: string): boolean {
  return text.startsWith('@');
}

/**
 * The specification of each socket with the name in `@NAME:[containerIP:]containerPort[/protocol]`.
 * @throws CliFailure
 */
export function specsByName(text: string, sockets: readonly PassedSocket[]): ForwardSpec[] {
  const [, name = '', rest = ''] = /^@([^:]*):(.*)$/s.exec(text) ?? [];
  if (name === '' || rest === '') {
    throw usageFailure(
      `${JSON.stringify(text)}: a socket of systemd is written as @NAME:containerPort`,
      'NAME is FileDescriptorName= of its socket unit, or else the name of that unit.',
    );
  }
  const { protocol = 'tcp', container, count = 1 } = parsePortSpec(`0:${rest}`);
  if (count > 1) throw usageFailure(`${JSON.stringify(text)}: a socket leads to a single port`);
  const own = sockets.filter((socket) => socket.name === name && socket.protocol === protocol);
  if (own.length === 0) {
    const list = sockets.map(describe).join(', ');
    throw usageFailure(
      `systemd has passed no ${protocol} socket named ${name}`,
      list === '' ? 'It has passed none. A socket unit passes them.' : `It has passed ${list}.`,
    );
  }
  return own.map(({ address, port }) => ({ protocol, host: { address, port }, container }));
}

/**
 * The specifications, on the sockets that have their protocol, address and port instead of new
 * ones. A specification without an address takes every socket with its port.
 * @throws CliFailure if a socket is for none of them: its clients would wait for good
 */
export function onSockets(
  specs: readonly ForwardSpec[],
  sockets: readonly PassedSocket[],
): (ForwardSpec | SocketForwardSpec)[] {
  const left = new Set(sockets);
  const placed = specs.flatMap((spec) => (left.size === 0 ? [spec] : place(spec, left)));
  const [forgotten] = left;
  if (forgotten === undefined) return placed;
  const { name, address, port, protocol } = forgotten;
  const suffix = protocol === 'tcp' ? '' : '/udp';
  throw usageFailure(
    `no port specification is for ${describe(forgotten)}, which systemd passed`,
    `Add ${formatEndpoint({ address, port })}:PORT${suffix}${name === '' ? '' : ` or @${name}:PORT${suffix}`}, with the container's port.`,
  );
}

/** A specification, on sockets for as many of its ports as there are; takes them from `left`. */
function place(spec: ForwardSpec, left: Set<PassedSocket>): (ForwardSpec | SocketForwardSpec)[] {
  const { protocol = 'tcp', host, container, count = 1 } = spec;
  const isFor = (socket: PassedSocket, port: number): boolean =>
    socket.protocol === protocol &&
    socket.port === port &&
    (host.address === undefined || host.address === socket.address);
  const ports = Array.from({ length: count }, (_, index) => host.port + index);
  const matching = ports.map((port) => [...left].filter((socket) => isFor(socket, port)));
  if (matching.every((found) => found.length === 0)) return [spec];
  const { count: _, ...single } = spec;
  return matching.flatMap((found, index): (ForwardSpec | SocketForwardSpec)[] => {
    const to = { ...container, port: container.port + index };
    for (const socket of found) left.delete(socket);
    if (found.length > 0) {
      return found.map(({ fd }) => ({ ...single, host: { fd }, container: to }));
    }
    return [{ ...single, host: { ...host, port: host.port + index }, container: to }];
  });
}

function describe({ name, protocol, address, port }: PassedSocket): string {
  return `${protocol} ${formatEndpoint({ address, port })}${name === '' ? '' : ` (${name})`}`;
}
