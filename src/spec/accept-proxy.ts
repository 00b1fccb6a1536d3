// accept-proxy.ts: the checks of what a forward says of load balancers in front of it, and of whom it believes.

import { resolveBlocks } from './admission.js';
import { invalidArgType, outOfRange } from '../errors.js';
import type { ForwardSpec } from '../types.js';

const DEFAULT_PROXY_HEADER_TIMEOUT_MS = 3_000;
const MAX_PROXY_HEADER_TIMEOUT_MS = 86_400_000;
const MAX_TRUSTED_PROXIES = 1_024;

/** What a {@link ForwardSpec} says of load balancers in front, with every default filled in. */
export interface AcceptedProxies {
  /** Empty where no header is read. */
  readonly trustedProxies: readonly string[];
  readonly proxyHeaderTimeoutMs: number;
}

/** Checks what a specification says of load balancers in front. */
export function resolveAcceptedProxies(name: string, spec: ForwardSpec): AcceptedProxies {
  return {
    trustedProxies: resolveTrustedProxies(name, spec),
    proxyHeaderTimeoutMs: resolveTimeout(
      `${name}.proxyHeaderTimeoutMs`,
      spec.proxyHeaderTimeoutMs ?? DEFAULT_PROXY_HEADER_TIMEOUT_MS,
    ),
  };
}

function resolveTrustedProxies(
  name: string,
  { acceptProxy = false, trustedProxies }: ForwardSpec,
): string[] {
  if (typeof acceptProxy !== 'boolean')
    throw invalidArgType(`${name}.acceptProxy`, 'true or false', acceptProxy);
  const place = `${name}.trustedProxies`;
  if (!acceptProxy) {
    if (trustedProxies === undefined) return [];
    throw outOfRange(place, 'nothing, without acceptProxy,', trustedProxies);
  }
  return resolveBlocks(place, trustedProxies, 1, MAX_TRUSTED_PROXIES);
}

function resolveTimeout(name: string, value: unknown): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'an integer', value);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_PROXY_HEADER_TIMEOUT_MS) return value;
  throw outOfRange(name, `an integer from 1 to ${MAX_PROXY_HEADER_TIMEOUT_MS}`, value);
}
