// open-listener.ts: opens the listener of an HTTP server of a command.

import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatEndpoint } from '../../address.js';
import { CliFailure, failureOf } from '../failure.js';
import { describePortOwner } from '../running/port-owner.js';
import type { ListenAddress } from './listen-address.js';

/**
 * Listens, and resolves to the address and port in use.
 * @param command - The one that listens, such as `spliceport metrics`.
 * @throws CliFailure
 */
export async function listen(
  server: Server,
  at: ListenAddress,
  command: string,
): Promise<ListenAddress> {
  server.listen(at.port, at.address);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenFailure(error as NodeJS.ErrnoException, at, command);
  }
  const { address, port } = server.address() as AddressInfo;
  return { address, port };
}

/** Ends every connection, and resolves when the port is free. */
export async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

const reasons: Readonly<Record<string, { readonly reason: string; readonly hint?: string }>> = {
  EADDRINUSE: { reason: 'the port is in use' },
  EADDRNOTAVAIL: {
    reason: 'this machine does not have the address',
    hint: '"ip address" lists its addresses; 0.0.0.0 and [::] mean all of them.',
  },
  EACCES: {
    reason: 'permission denied',
    hint: 'Ports below net.ipv4.ip_unprivileged_port_start need a privilege. Choose a higher port.',
  },
};

function listenFailure(
  error: NodeJS.ErrnoException,
  at: ListenAddress,
  command: string,
): CliFailure {
  const { code = '', message } = error;
  const { reason = message, hint } = reasons[code] ?? {};
  const isTaken = code === 'EADDRINUSE';
  const hints = isTaken
    ? [
        describePortOwner([{ protocol: 'tcp', ...at }]),
        `Is "${command}" running already? Otherwise choose another port.`,
      ]
    : [hint];
  return new CliFailure(
    failureOf(error).exitCode,
    `cannot listen on ${formatEndpoint(at)}: ${reason}`,
    { code, hint: hints.filter(Boolean).join('\n'), cause: error },
  );
}
