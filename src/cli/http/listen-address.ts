// listen-address.ts: the value of `--listen`.

import { InvalidArgumentError } from 'commander';
import { parseAddress } from '../../address.js';

/** Where to listen. */
export interface ListenAddress {
  readonly address: string;
  /** 0: the kernel picks one. */
  readonly port: number;
}

const MAX_PORT = 65_535;

/**
 * Parses `127.0.0.1:9469`, `[::1]:9469` or `localhost:9469`. A port alone means every address in
 * some programs and the loopback in others, so it is an error.
 */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, plain, port = ''] = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const name = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : (plain ?? ''));
  const isIpv6 = name.includes(':');
  const address = isIpv6 === (bracketed !== undefined) ? parseAddress(name)?.address : undefined;
  if (address === undefined || Number(port) > MAX_PORT) {
    throw new InvalidArgumentError(
      'Expected an address and a port, such as 127.0.0.1:9469, [::1]:9469, or 0.0.0.0:9469 for every IPv4 address.',
    );
  }
  return { address, port: Number(port) };
}
