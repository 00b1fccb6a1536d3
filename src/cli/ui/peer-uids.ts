// peer-uids.ts: whose the other end of a connection on this machine is.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/**
 * The users of the sockets that may be the other end; none if it is on another machine.
 *
 * Sockets are compared by their ports alone: two with the same pair of ports are rare, and then
 * both are told. @see proc_pid_net(5)
 */
export function peerUids({ localPort = 0, remotePort = 0 }: Socket): number[] {
  const wanted = [remotePort, localPort].map((port) =>
    port.toString(16).toUpperCase().padStart(4, '0'),
  );
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    linesOf(file).flatMap((line) => {
      const [, local = '', remote = '', , , , , uid] = line.trim().split(/\s+/);
      const ports = [local, remote].map((end) => end.split(':')[1] ?? '');
      return ports.join() === wanted.join() ? [Number(uid)] : [];
    }),
  );
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return []; // A machine without IPv6.
  }
}
