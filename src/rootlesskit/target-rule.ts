// target-rule.ts: Podman's rule for the container address that a forward leads to.

import { isUnspecified } from '../address.js';

const LOOPBACK = '127.0.0.1';

/**
 * The container's address for a port that the host listens on.
 * @param containerAddress - Empty if Podman passes none. Then the target is the container's
 * loopback; if the host address is not the host's first, the target is that address, which the
 * container has too.
 */
export function targetRule(containerAddress: string): (hostAddress: string) => string {
  // Looked up at most once, and for most containers not at all.
  let first: { readonly ipv4: string | undefined } | undefined;
  return (hostAddress) => {
    if (containerAddress !== '') return containerAddress;
    if (isUnspecified(hostAddress)) return LOOPBACK;
    // Never the first, which is no loopback address.
    if (isLoopbackIpv4(hostAddress)) return hostAddress;
    first ??= { ipv4: firstHostIpv4() };
    return hostAddress === first.ipv4 ? LOOPBACK : hostAddress;
  };
}

function firstHostIpv4(): string | undefined {
  const interfaces = process.getBuiltinModule('node:os').networkInterfaces();
  return Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, address }) => family === 'IPv4' && !isLoopbackIpv4(address))?.address;
}

function isLoopbackIpv4(address: string): boolean {
  return address.startsWith('127.');
}
