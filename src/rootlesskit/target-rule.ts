// target-rule.ts: which address of the container a forward leads to, by Podman's rule.

import { isUnspecified } from '../address.js';

const LOOPBACK = '127.0.0.1';

/**
 * The address to reach in the container, by the address that the host listens on.
 * @param containerAddress - Empty when Podman gives none. Then it is the container's loopback; but for an address that
 * is not the host's first, it is that address, which the container has too.
 */
export function targetRule(containerAddress: string): (hostAddress: string) => string {
  // Looked up once at most, and not at all for most containers.
  let first: { readonly ipv4: string | undefined } | undefined;
  return (hostAddress) => {
    if (containerAddress !== '') return containerAddress;
    if (isUnspecified(hostAddress)) return LOOPBACK;
    first ??= { ipv4: firstHostIpv4() };
    return hostAddress === first.ipv4 ? LOOPBACK : hostAddress;
  };
}

function firstHostIpv4(): string | undefined {
  const interfaces = process.getBuiltinModule('node:os').networkInterfaces();
  return Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, address }) => family === 'IPv4' && !address.startsWith('127.'))?.address;
}
