import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { hostSocketHint, netnsHint, transparencyHint } from '../../src/hints.js';

const {
  EACCES,
  EAGAIN,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EINVAL,
  EMFILE,
  ENETUNREACH,
  ENFILE,
  ENOMEM,
  EOPNOTSUPP,
  EPERM,
} = constants.errno;

function lowestUnprivilegedPort(): number {
  return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
}

function hostHint(errno: number, port: number, protocol: 'tcp' | 'udp' = 'tcp') {
  return hostSocketHint({ errno: -errno }, { protocol, address: '192.0.2.1', port });
}

describe('hints for host sockets', () => {
  test('give the current limit for a privileged port, and the setting that lowers it', () => {
    const port = lowestUnprivilegedPort() - 1;
    const hint = hostHint(EACCES, port);
    expect(hint).toContain(`Ports below ${port + 1} take CAP_NET_BIND_SERVICE`);
    expect(hint).toContain(`sysctl net.ipv4.ip_unprivileged_port_start=${port}.`);
  });

  test('are missing for a forbidden port that is not privileged', () => {
    expect(hostHint(EACCES, lowestUnprivilegedPort())).toBeUndefined();
  });

  test('give the command that finds the owner of a port in use, for each protocol', () => {
    expect(hostHint(EADDRINUSE, 8080)).toContain(`"ss -antp 'sport = :8080'"`);
    expect(hostHint(EADDRINUSE, 8080, 'udp')).toContain(`"ss -anup 'sport = :8080'"`);
  });

  test('name the address that the host does not have', () => {
    expect(hostHint(EADDRNOTAVAIL, 80)).toContain('192.0.2.1');
  });

  test('give the current limits if no descriptor is left', () => {
    const [, soft, hard] =
      /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    expect(hostHint(EMFILE, 80)).toContain(`: ${soft} now, hard limit ${hard}.`);
    expect(hostHint(ENFILE, 80)).toContain('fs.file-max');
  });

  test('anything else: none', () => {
    expect(hostHint(ENOMEM, 80)).toBeUndefined();
  });
});

describe('hints for namespaces', () => {
  test.each([
    ['setns', EPERM, 'CAP_SYS_ADMIN'],
    ['setns', EPERM, 'nsenter --preserve-credentials -U -t PID'],
    ['setns', EINVAL, 'not a network namespace'],
    ['open', EACCES, 'its own user, and root'],
    ['open', EMFILE, 'ulimit -n'],
    ['pthread_create', EAGAIN, 'pids.max'],
  ])('explain a failed %s with errno %i: %s', (syscall, errno, advice) => {
    expect(netnsHint({ syscall, errno: -errno })).toContain(advice);
  });

  test('anything else: none', () => {
    expect(netnsHint({ syscall: 'setns', errno: -ENOMEM })).toBeUndefined();
  });
});

describe("hints for namespaces where clients' addresses are not shown", () => {
  test.each([
    ['setsockopt', EPERM, 'CAP_NET_ADMIN'],
    ['connect', EADDRINUSE, 'src 192.0.0.8'],
    ['connect', ENETUNREACH, 'lo is down'],
    ['pthread_create', EAGAIN, 'pids.max'],
    ['rtnetlink', EOPNOTSUPP, 'CONFIG_IP_MULTIPLE_TABLES'],
  ])('explain a failed %s with errno %i: %s', (syscall, errno, advice) => {
    expect(transparencyHint({ syscall, errno: -errno })).toContain(advice);
  });
});
