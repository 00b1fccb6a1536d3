// What the helper refuses, in which order, and with which texts.

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal } from './helpers/refusal.js';
import {
  Caller,
  executable,
  freePorts,
  podmanMapping,
  Run,
  type PodmanMapping,
} from './helpers/run.js';

const caller = new Caller();
/**
 * A port that is free, and one that a server of the test has, on every address and for both
 * protocols.
 */
let free: number;
let taken: number;
const server = createServer();
const udpServer = createSocket('udp6');
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'spliceport-checks-'));
  await once(server.listen(0), 'listening');
  taken = (server.address() as AddressInfo).port;
  udpServer.bind(taken);
  await once(udpServer, 'listening');
  free = await freePorts(1);
});
afterAll(() => {
  server.close();
  udpServer.close();
  rmSync(scratch, { recursive: true });
  caller[Symbol.dispose]();
});

const mapping = (overrides: PodmanMapping = {}): PodmanMapping =>
  podmanMapping({ host_port: free, ...overrides });

async function refused(
  mappings: readonly object[],
  text: string | RegExp,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await expectRefusal(caller, caller.config(mappings, changes), text, { ports: [free] });
}

async function accepted(
  mappings: readonly object[],
  changes: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await using run = new Run(caller.config(mappings, changes));
  await run.ready();
  await run.letGo();
}

describe('arguments of the helper', () => {
  test('of any kind are rejected before anything is read', async () => {
    const run = new Run(caller.config([mapping()]), { args: ['--help'] });
    expect(await run.outcome).toEqual({
      code: 1,
      signal: null,
      stdout: '',
      stderr: 'too many arguments, rootlessport expects a json config via STDIN\n',
    });
  });
});

describe('namespace and descriptors in a configuration', () => {
  test('are checked in this order, and before anything else', async () => {
    const broken = {
      NetNSPath: '',
      ExitFD: 0,
      ReadyFD: 0,
      TmpDir: '/proc/nowhere',
      ChildIP: 'x',
    };
    const bad = [mapping({ protocol: 'x' })];
    const changes: Record<string, unknown> = { ...broken };
    await refused(bad, 'missing NetNSPath', changes);
    changes['NetNSPath'] = '/nowhere';
    await refused(bad, 'missing ExitFD', changes);
    changes['ExitFD'] = 77;
    await refused(bad, 'invalid ExitFD', changes);
    changes['ExitFD'] = 3;
    await refused(bad, 'missing ReadyFD', changes);
    changes['ReadyFD'] = 77;
    await refused(bad, 'invalid ReadyFD', changes);
    changes['ReadyFD'] = 4;
    await refused(bad, /^mkdir \/proc\/nowhere/, changes);
  });

  test('are missing if a descriptor is negative', async () => {
    await refused([], 'missing ExitFD', { ExitFD: -1 });
    await refused([], 'missing ReadyFD', { ReadyFD: -9_223_372_036_854_775_000 });
  });

  test('are missing if the descriptor was opened by the helper itself', async () => {
    for (const fd of [5, 6, 7, 8, 9, 12, 15, 18, 21]) {
      await refused([], 'invalid ExitFD', { ExitFD: fd });
      await refused([], 'invalid ReadyFD', { ReadyFD: fd });
    }
  });

  test('cannot be checked without /proc, which is reported', async () => {
    const hidden = 'mount -t tmpfs none /proc && exec "$0"';
    const command = ['unshare', '--mount', 'sh', '-c', hidden, executable];
    const text = 'spliceport needs /proc, which is not mounted';
    await expectRefusal(caller, caller.config([]), text, { command });
  });

  test('are checked for a closed descriptor even without the start script', async () => {
    const bundle = fileURLToPath(new URL('../../lib/engines/podman.cjs', import.meta.url));
    const config = caller.config([], { ExitFD: 2_000_000_000 });
    await expectRefusal(caller, config, 'invalid ExitFD', { command: [process.execPath, bundle] });
  });
});

describe('mappings in a configuration', () => {
  test.for(['', 'TCP', 'icmp', 'tcp5', 'tcp46', ' tcp', 'tcp ', 'tcp\n'])(
    'know no protocol %j',
    async (protocol) => {
      await refused([mapping({ protocol })], `unknown proto: ${JSON.stringify(protocol)}`);
    },
  );

  test('have protocols separated by commas, which are not trimmed', async () => {
    await refused([mapping({ protocol: 'udp, tcp' })], 'unknown proto: " tcp"');
    await refused([mapping({ protocol: 'udp,' })], 'unknown proto: ""');
    await accepted([mapping({ protocol: 'udp,tcp' })]);
  });

  const notAddresses = [
    ...['localhost', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', ' 1.2.3.4', '127.0.0.1:80'],
    ...['[::1]', '::1::', ':::', 'fe80::1%lo', '12345::', '1:2:3:4:5:6:7', '::1.2.3'],
  ];
  test.for(notAddresses)('with the address %j are rejected', async (address) => {
    await refused([mapping({ host_ip: address })], `invalid ParentIP: "${address}"`);
    await refused([mapping()], `invalid ChildIP: "${address}"`, { ChildIP: address });
  });

  test('may have any container address if they have no container port', async () => {
    await accepted([mapping({ range: 0 })], { ChildIP: 'x' });
  });

  test.for([-2_147_483_648, -1, 0, 65_536, 2_147_483_647])('reject port %i', async (port) => {
    const old = { hostPort: free, containerPort: 80, protocol: 'tcp', hostIP: '' };
    await refused([{ ...old, hostPort: port }], `invalid ParentPort: ${port}`);
    await refused([{ ...old, containerPort: port }], `invalid ChildPort: ${port}`);
  });

  test('with ranges are rejected if a port is 0 or missing', async () => {
    await refused([mapping({ host_port: 0 })], 'invalid ParentPort: 0');
    await refused([mapping({ container_port: 0 })], 'invalid ChildPort: 0');
    await refused([{ protocol: 'tcp', range: 1 }], 'invalid ParentPort: 0');
  });

  test('with a range past 65535 are rejected as port 0', async () => {
    await refused([mapping({ host_port: 65_535, range: 2 })], 'invalid ParentPort: 0');
    await refused([mapping({ container_port: 65_535, range: 2 })], 'invalid ChildPort: 0');
  });

  test('with a range of 0 succeed and forward nothing', async () => {
    await accepted([mapping({ range: 0, host_port: 0 })]);
    await accepted([]);
  });

  test('with the same port twice are a conflict with the first, counted from 1', async () => {
    await refused([mapping(), mapping()], 'conflict with ID 1');
    await refused([mapping({ protocol: 'tcp,tcp' })], 'conflict with ID 1');
    const udp = mapping({ protocol: 'udp' });
    const first = await freePorts(3);
    await refused(
      [udp, mapping({ host_port: first, range: 3 }), mapping({ host_port: first + 2 })],
      'conflict with ID 4',
    );
    await refused(
      [mapping({ host_ip: '0.0.0.0' }), mapping({ container_port: 81 })],
      'conflict with ID 1',
    );
  });

  test('with the same port for another protocol or address are no conflict', async () => {
    await accepted([
      mapping({ host_ip: '127.0.0.1', protocol: 'tcp,udp' }),
      mapping({ host_ip: '127.0.0.2', protocol: 'tcp,udp' }),
      mapping({ host_ip: '::1', protocol: 'tcp6,udp6' }),
    ]);
    await accepted([
      mapping({ host_ip: '0.0.0.0', protocol: 'tcp4,udp4' }),
      mapping({ host_ip: '::', protocol: 'tcp6,udp6' }),
    ]);
  });

  test.for(['sctp', 'sctp4', 'sctp6'])('with %s are not supported', async (protocol) => {
    await refused([mapping({ protocol })], 'unsupported port protocol sctp');
  });

  test.for([
    ['tcp4', '::1'],
    ['udp4', '::'],
    ['tcp6', '127.0.0.1'],
    ['udp6', '0.0.0.0'],
  ])('for %s are rejected at %s', async ([protocol = '', host_ip = '']) => {
    const text = `listen ${protocol}: address ${host_ip}: no suitable address found`;
    await refused([mapping({ protocol, host_ip })], text);
  });

  test('are checked one by one, each from protocol to container port', async () => {
    const bad = { protocol: 'x', host_ip: 'x', host_port: 0, container_port: 0 };
    const changes = { ChildIP: 'x' };
    await refused([bad], 'unknown proto: "x"', changes);
    await refused([{ ...bad, protocol: 'sctp' }], 'invalid ParentIP: "x"', changes);
    await refused([{ ...bad, protocol: 'sctp', host_ip: '' }], 'invalid ChildIP: "x"', changes);
    const sctp = { ...bad, protocol: 'sctp', host_ip: '' };
    await refused([sctp], 'invalid ParentPort: 0');
    await refused([{ ...sctp, host_port: taken }], 'invalid ChildPort: 0');
    const good = { ...sctp, host_port: taken, container_port: 1 };
    await refused([good], 'unsupported port protocol sctp');
  });
});

describe('host sockets of a helper', () => {
  test.for<[string, string, string]>([
    ['tcp', '', '0.0.0.0'],
    ['tcp', '0.0.0.0', '0.0.0.0'],
    ['tcp', '::', '[::]'],
    ['tcp', '0:0::0', '[::]'],
    ['tcp', '127.0.0.1', '127.0.0.1'],
    ['tcp', '::1', '[::1]'],
    ['tcp', '::ffff:127.0.0.1', '127.0.0.1'],
    ['tcp4', '0.0.0.0', '0.0.0.0'],
    ['tcp6', '::', '[::]'],
    ['udp', '', '0.0.0.0'],
    ['udp', '::1', '[::1]'],
    ['udp4', '127.0.0.1', '127.0.0.1'],
    ['udp6', '::1', '[::1]'],
  ])('for %s on %j are rejected if the port is in use', async ([protocol, host_ip, shown]) => {
    const text = `listen ${protocol} ${shown}:${taken}: bind: address already in use`;
    await refused([mapping({ protocol, host_ip, host_port: taken })], text);
  });

  test.for([
    ['tcp', '192.0.2.1', '192.0.2.1'],
    ['udp', '192.0.2.1', '192.0.2.1'],
    ['tcp', '2001:db8:0:0::1', '[2001:db8::1]'],
    ['udp6', '2001:db8:0:0::1', '[2001:db8::1]'],
  ])('for %s on %s need the address', async ([protocol = '', host_ip = '', shown = '']) => {
    const text = `listen ${protocol} ${shown}:${free}: bind: cannot assign requested address`;
    await refused([mapping({ protocol, host_ip })], text);
  });

  test('are all closed if one port of a range is in use', async () => {
    const first = await freePorts(7);
    const occupant = createServer().listen(first + 3);
    await once(occupant, 'listening');
    const config = caller.config([mapping(), mapping({ host_port: first, range: 7 })]);
    const text = `listen tcp 0.0.0.0:${first + 3}: bind: address already in use`;
    const ports = [free, first, first + 1, first + 2];
    await expectRefusal(caller, config, text, { ports });
    occupant.close();
  });

  test('are rejected if there are more than descriptors, however many', async () => {
    const command = ['sh', '-c', 'ulimit -n 64 && exec "$0"', executable];
    const mappings = Array.from({ length: 250 }, (_, index) =>
      mapping({ host_ip: `127.0.1.${index + 1}`, host_port: 1_024, range: 60_000 }),
    );
    const text = /^listen tcp 127\.0\.1\.1:10\d\d: socket: too many open files$/;
    await expectRefusal(caller, caller.config(mappings), text, { command });
  });

  test('cannot be opened for two spellings of one endpoint', async () => {
    await refused(
      [mapping({ host_ip: '' }), mapping({ host_ip: '::' })],
      `listen tcp [::]:${free}: bind: address already in use`,
    );
    await refused(
      [mapping({ host_ip: '127.0.0.1' }), mapping({ host_ip: '127.0.0.1', protocol: 'tcp4' })],
      `listen tcp4 127.0.0.1:${free}: bind: address already in use`,
    );
    await refused(
      [mapping({ host_ip: '' }), mapping({ protocol: 'tcp4' })],
      `listen tcp4 0.0.0.0:${free}: bind: address already in use`,
    );
  });

  test('are opened in turn with the checks, so that the first failure of either kind is reported', async () => {
    const inUse = `listen tcp 0.0.0.0:${taken}: bind: address already in use`;
    const unknown = mapping({ protocol: 'x' });
    const occupied = mapping({ host_port: taken });
    await refused([occupied, unknown], inUse);
    await refused([unknown, occupied], 'unknown proto: "x"');
    await refused([mapping(), unknown], 'unknown proto: "x"', { NetNSPath: '/nowhere' });
    await refused([occupied], inUse, { NetNSPath: '/nowhere' });
  });

  describe('below the first unprivileged port', () => {
    // Root of a user namespace that does not own the network namespace: what Podman's helper is.
    const asPodman = (lowest: number) => [
      ...['unshare', '--net', 'sh', '-c'],
      `echo ${lowest} > /proc/sys/net/ipv4/ip_unprivileged_port_start && exec unshare -Ur ${executable}`,
    ];

    test.for([
      ['tcp', 80, 1024],
      ['udp', 53, 1024],
      ['tcp', 499, 500],
    ] as const)('are forbidden: %s port %i below %i', async ([protocol, port, lowest]) => {
      const text =
        `cannot expose privileged port ${port}, you can add 'net.ipv4.ip_unprivileged_port_start=${port}' ` +
        `to /etc/sysctl.conf (currently ${lowest}), or choose a larger port number (>= ${lowest}): ` +
        `listen ${protocol} 0.0.0.0:${port}: bind: permission denied`;
      const config = caller.config([mapping({ protocol, host_port: port })]);
      await expectRefusal(caller, config, text, { command: asPodman(lowest) });
    });
  });
});

describe('the network namespace', () => {
  test.for<[string, (path: string) => void, string]>([
    ['a path to nothing', () => undefined, 'open $: no such file or directory'],
    ['an ordinary file', (path) => writeFileSync(path, ''), 'setns $: invalid argument'],
    ['a FIFO', (path) => execFileSync('mkfifo', [path]), 'setns $: invalid argument'],
  ])('is not %s', async ([name, make, text]) => {
    const path = join(scratch, name);
    make(path);
    await refused([mapping()], text.replace('$', path), { NetNSPath: path });
    await refused([], text.replace('$', path), { NetNSPath: path });
  });

  test('is not a folder or a namespace of another kind', async () => {
    const changes = { NetNSPath: '/proc/self/ns/uts' };
    await refused([mapping()], 'setns /proc/self/ns/uts: invalid argument', changes);
    await refused([mapping()], `setns ${scratch}: invalid argument`, { NetNSPath: scratch });
  });

  test('must be one that may be opened and entered', async () => {
    const command = ['unshare', '--user', '--map-root-user', executable];
    for (const mappings of [[mapping()], []]) {
      const opened = caller.config(mappings, { NetNSPath: `/proc/${process.pid}/ns/net` });
      await expectRefusal(caller, opened, `open /proc/${process.pid}/ns/net: permission denied`, {
        command,
      });
      const entered = caller.config(mappings, { NetNSPath: '/proc/self/ns/net' });
      await expectRefusal(caller, entered, 'setns /proc/self/ns/net: operation not permitted', {
        command,
      });
    }
  });

  test('is reported on one line if its path has characters that no path can have', async () => {
    await refused([mapping()], 'open /x y: invalid argument', { NetNSPath: '/x\0y' });
    await refused([], 'open /x y: no such file or directory', { NetNSPath: '/x\ny' });
  });
});

describe('the folder for sockets', () => {
  test('must be one that can be created', async () => {
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    await refused([mapping()], `mkdir ${file}/rp: not a directory`, { TmpDir: file });
    await refused([mapping()], /^mkdir \/proc\/nowhere/, { TmpDir: '/proc/nowhere' });
    const blocked = join(scratch, 'blocked');
    mkdirSync(blocked);
    writeFileSync(join(blocked, 'rp'), '');
    await refused([mapping()], `mkdir ${blocked}/rp: file exists`, { TmpDir: blocked });
  });

  test.for(['', '.', '..', '../x', 'a/b', '/', 'a\0'])(
    'is never left by the id of a container: %j',
    async (ContainerID) => {
      await refused([mapping()], /^invalid ContainerID: "/, { ContainerID, RootlessCNI: true });
      await accepted([mapping()], { ContainerID });
    },
  );

  test('is not used for a socket whose name is too long', async () => {
    const changes = { ContainerID: 'c'.repeat(300), RootlessCNI: true };
    await refused(
      [mapping()],
      new RegExp(`^bind ${caller.folder}/rp/c+: file name too long$`),
      changes,
    );
  });
});
