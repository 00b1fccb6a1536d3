import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { HostSocketRequest } from '../../src/binding.js';
import { openHostSockets } from '../../src/host-sockets.js';
import type { HostRequest } from '../../src/validate.js';

const { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT } = constants.errno;

const everyAddress: HostRequest = { protocol: 'tcp', address: '::', port: 80, dualStack: true };
const ipv4: HostRequest = { protocol: 'udp', address: '127.0.0.1', port: 53, dualStack: false };
const ipv6: HostRequest = { protocol: 'tcp', address: '::', port: 81, dualStack: false };

/** A host where binding to an IPv6 address fails. */
function hostWithout(errno: number) {
  const calls: (readonly HostSocketRequest[])[] = [];
  const open = (requests: readonly HostSocketRequest[]) => {
    calls.push(requests);
    const index = requests.findIndex(({ address }) => address.includes(':'));
    if (index >= 0) return { errno: -errno, syscall: 'socket', index };
    return requests.map(({ port }, fd) => ({ fd, port }));
  };
  return { calls, open };
}

describe('openHostSockets', () => {
  test.each([EAFNOSUPPORT, EADDRNOTAVAIL])(
    'serves IPv4 alone where the host has no IPv6 (errno %i)',
    (errno) => {
      const { calls, open } = hostWithout(errno);
      expect(openHostSockets([ipv4, everyAddress], open)).toEqual([
        { ...ipv4, fd: 0 },
        { ...everyAddress, address: '0.0.0.0', dualStack: false, fd: 1 },
      ]);
      expect(calls).toHaveLength(2);
    },
  );

  test('does not, when IPv6 was asked for', () => {
    const { calls, open } = hostWithout(EAFNOSUPPORT);
    expect(() => openHostSockets([ipv6, everyAddress], open)).toThrow(
      expect.objectContaining({ code: 'EAFNOSUPPORT', port: 81, address: '::' }),
    );
    expect(calls).toHaveLength(1);
  });

  test('does not, when the failure is another', () => {
    const { calls, open } = hostWithout(EADDRINUSE);
    expect(() => openHostSockets([everyAddress], open)).toThrow(
      'socket EADDRINUSE: address already in use :::80',
    );
    expect(calls).toHaveLength(1);
  });

  test('opens many sockets in one call', () => {
    const { calls, open } = hostWithout(EADDRINUSE);
    expect(openHostSockets([ipv4, ipv4], open).map(({ fd }) => fd)).toEqual([0, 1]);
    const request = { protocol: 'udp', address: '127.0.0.1', port: 53, ipv6Only: true };
    expect(calls).toEqual([[request, request]]);
  });
});
