import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { HostSocketRequest } from '../../src/engine/binding.js';
import { openHostSockets, type HostRange } from '../../src/engine/host-sockets.js';

const { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT } = constants.errno;

const everyAddress = {
  protocol: 'tcp',
  address: '::',
  port: 80,
  count: 1,
  dualStack: true,
} as const;
const ipv4: HostRange = {
  protocol: 'udp',
  address: '127.0.0.1',
  port: 53,
  count: 2,
  dualStack: false,
};
const ipv6: HostRange = { ...everyAddress, port: 81, dualStack: false };

/** What is opened for a range, if descriptors begin with `firstFd`. */
function openedFor({ protocol, address, dualStack, port, count }: HostRange, firstFd: number) {
  const upFrom = (first: number) => Array.from({ length: count }, (_, offset) => first + offset);
  return { protocol, address, dualStack, fds: upFrom(firstFd), ports: upFrom(port) };
}

/** A host where binding to an IPv6 address fails. */
function hostWithout(errno: number) {
  const calls: (readonly HostSocketRequest[])[] = [];
  const open = (requests: readonly HostSocketRequest[]) => {
    calls.push(requests);
    const addresses = requests.flatMap(({ address, count }) => Array<string>(count).fill(address));
    const index = addresses.findIndex((address) => address.includes(':'));
    if (index >= 0) return { errno: -errno, syscall: 'socket', index };
    const ports = requests.flatMap(({ port, count }) =>
      Array.from({ length: count }, (_, offset) => port + offset),
    );
    return { fds: [...ports.keys()], ports };
  };
  return { calls, open };
}

describe('openHostSockets', () => {
  test.each([EAFNOSUPPORT, EADDRNOTAVAIL])(
    'opens only IPv4 sockets if the host has no IPv6 (errno %i)',
    (errno) => {
      const { calls, open } = hostWithout(errno);
      expect(openHostSockets([ipv4, everyAddress], open)).toEqual([
        openedFor(ipv4, 0),
        openedFor({ ...everyAddress, address: '0.0.0.0', dualStack: false }, 2),
      ]);
      expect(calls).toHaveLength(2);
    },
  );

  test('fails on a host without IPv6 if IPv6 was asked for', () => {
    const { calls, open } = hostWithout(EAFNOSUPPORT);
    expect(() => openHostSockets([ipv6, everyAddress], open)).toThrow(
      expect.objectContaining({ code: 'EAFNOSUPPORT', port: 81, address: '::' }),
    );
    expect(calls).toHaveLength(1);
  });

  test('fails if the IPv6 socket fails for another reason', () => {
    const { calls, open } = hostWithout(EADDRINUSE);
    expect(() => openHostSockets([everyAddress], open)).toThrow(
      'socket EADDRINUSE: address already in use :::80',
    );
    expect(calls).toHaveLength(1);
  });

  test.each([
    [0, 53],
    [1, 54],
    [2, 81],
  ])('names the port of the socket that failed, at index %i', (index, port) => {
    const open = () => ({ errno: -EADDRINUSE, syscall: 'bind', index });
    expect(() => openHostSockets([ipv4, ipv6], open)).toThrow(expect.objectContaining({ port }));
  });

  test('opens many sockets in one call', () => {
    const { calls, open } = hostWithout(EADDRINUSE);
    expect(openHostSockets([ipv4, ipv4], open)).toEqual([openedFor(ipv4, 0), openedFor(ipv4, 2)]);
    const request = { protocol: 'udp', address: '127.0.0.1', port: 53, count: 2, ipv6Only: true };
    expect(calls).toEqual([[request, request]]);
  });
});
