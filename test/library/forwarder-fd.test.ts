// Forwards of sockets that are open already, and forwards within the process's own namespace.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { binding, isNativeFailure } from '../../src/engine/binding.js';
import { Forwarder, type SocketForwardSpec } from '../../src/index.js';
import { listenUnix } from '../../src/system.js';
import { openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { TcpServer } from '../helpers/tcp-server.js';
import { UdpSocket } from '../helpers/udp-socket.js';

let forwarder: Forwarder;
let server: TcpServer;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-fd-'));
  forwarder = new Forwarder({ netns: 'own' });
  server = await TcpServer.listen({ behavior: { kind: 'echo' } });
});
afterEach(async () => {
  await forwarder.close();
  server.close();
  rmSync(folder, { recursive: true });
});

/** A socket of the host as a program that passes it on has it. */
function open(
  protocol: 'tcp' | 'udp',
  address = '127.0.0.1',
  ipv6Only = true,
): { fd: number; port: number } {
  const opened = binding.openHostSockets([{ protocol, address, port: 0, count: 1, ipv6Only }]);
  if (isNativeFailure(opened)) throw new Error(opened.syscall);
  return { fd: opened.fds[0] ?? -1, port: opened.ports[0] ?? 0 };
}

const unsuitable = (what: string) => ({
  code: 'ERR_SPLICEPORT_UNSUITABLE_SOCKET',
  message: expect.stringMatching(new RegExp(`^Descriptor \\d+ ${what}$`)) as string,
});

describe('a forward within the process’s own namespace', () => {
  test('serves clients, and is shown with the path of the namespace', async () => {
    const { host, netnsPath } = await forwarder.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: server.port },
    });
    expect(netnsPath).toBe('/proc/self/ns/net');
    expect(await askTcp(host, 'hello')).toBe('hello');
  });

  test('that leads to itself is refused', async () => {
    const { host } = await forwarder.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: server.port },
    });
    await expect(
      forwarder.retarget(1, { address: host.address, port: host.port }),
    ).rejects.toMatchObject({ code: 'ERR_SPLICEPORT_LEADS_TO_ITSELF' });
  });
});

describe('a listening socket that is passed in', () => {
  test('serves clients, those that came before among them, and is closed with its forward', async () => {
    const { fd, port } = open('tcp');
    const early = await connectTcp({ port });
    early.write('early');
    const fds = openFds();
    const { id, host } = await forwarder.add({ host: { fd }, container: { port: server.port } });
    expect(host).toEqual({ address: '127.0.0.1', port, dualStack: false });
    expect(await nextText(early)).toBe('early');
    expect(await askTcp({ port }, 'hello')).toBe('hello');
    early.destroy();
    await forwarder.remove(id);
    expect(await isRefused({ port })).toBe(true);
    // The descriptor was the forwarder's: it is gone, and nothing has come in its place.
    expect(openFds()).toBeLessThan(fds);
    expect(() => closeSync(fd)).toThrow('EBADF');
  });

  test('for both families is shown as one', async () => {
    const { fd, port } = open('tcp', '::', false);
    const { host } = await forwarder.add({ host: { fd }, container: { port: server.port } });
    expect(host).toEqual({ address: '::', port, dualStack: true });
    expect(await askTcp({ port, address: '127.0.0.1' }, 'hello')).toBe('hello');
  });

  test('belongs to the caller when it cannot be forwarded', async () => {
    const { fd, port } = open('tcp');
    const before = openFds();
    await expect(
      forwarder.addAll([
        { host: { fd }, container: { port: server.port } },
        { host: { address: '192.0.2.77', port: 0 }, container: { port: server.port } },
      ]),
    ).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    await expect(
      forwarder.add({ host: { fd }, container: { port: 80 }, netns: { path: '/gone' } }),
    ).rejects.toMatchObject({ code: 'ERR_SPLICEPORT_NETNS_GONE' });
    expect(openFds()).toBe(before);
    await forwarder.add({ host: { fd }, container: { port: server.port } });
    expect(await askTcp({ port }, 'hello')).toBe('hello');
  });

  test('is forwarded once, however often it is passed', async () => {
    const { fd } = open('tcp');
    const spec = { host: { fd }, container: { port: server.port } };
    const taken = { code: 'ERR_SPLICEPORT_ALREADY_FORWARDED' };
    await expect(forwarder.addAll([spec, spec])).rejects.toMatchObject(taken);
    const copy = binding.adoptHostSocket({ protocol: 'tcp', fd, v6: false });
    if (isNativeFailure(copy)) throw new Error(copy.syscall);
    const { id } = await forwarder.add(spec);
    await expect(
      forwarder.add({ host: { fd: copy }, container: { port: server.port } }),
    ).rejects.toMatchObject({ ...taken, forwardId: id });
    closeSync(copy);
  });
});

describe('a bound UDP socket that is passed in', () => {
  test('serves clients from the address that they sent to', async () => {
    const { fd, port } = open('udp', '0.0.0.0');
    const echo = await UdpSocket.bind({ echo: true });
    await forwarder.add({ protocol: 'udp', host: { fd }, container: { port: echo.port } });
    using client = await UdpSocket.bind();
    const { data, address } = await client.ask('hello', port, '127.0.0.3');
    expect({ data: data.toString(), address }).toEqual({ data: 'hello', address: '127.0.0.3' });
    echo.close();
  });
});

describe('a descriptor that clients cannot come to', () => {
  const to = () => ({ container: { port: server.port } });

  test.each<['tcp' | 'udp', string, () => number]>([
    ['tcp', 'is not a socket', () => openSync('/dev/null', 'r')],
    ['tcp', 'is not a TCP socket', () => open('udp').fd],
    ['udp', 'is not a UDP socket', () => open('tcp').fd],
    [
      'tcp',
      'is a socket of another family than IPv4 and IPv6',
      () => listenUnix('stream', openSync(folder, 'r'), 'socket'),
    ],
  ])('for %s is refused, because it %s', async (protocol, what, make) => {
    const fd = make();
    await expect(forwarder.add({ protocol, host: { fd }, ...to() })).rejects.toMatchObject(
      unsuitable(what),
    );
    closeSync(fd);
  });

  test('is a connection, for tcp and for udp', async () => {
    const socket = await connectTcp({ port: server.port });
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    await expect(forwarder.add({ host: { fd }, ...to() })).rejects.toMatchObject(
      unsuitable('is a TCP socket that does not listen'),
    );
    socket.destroy();
    const udp = createSocket('udp4');
    udp.connect(server.port, '127.0.0.1');
    await once(udp, 'connect');
    const handle = (udp as unknown as Record<symbol, { handle: { fd: number } }>)[stateOf(udp)];
    await expect(
      forwarder.add({ protocol: 'udp', host: { fd: handle?.handle.fd ?? -1 }, ...to() }),
    ).rejects.toMatchObject(unsuitable('is a UDP socket that is connected to one client'));
    udp.close();
  });

  test('is one that is not open', async () => {
    await expect(forwarder.add({ host: { fd: 9_999 }, ...to() })).rejects.toMatchObject(
      unsuitable('is not open'),
    );
  });

  test('is given with a port beside it, with a count, or is no number', async () => {
    const { fd, port } = open('tcp');
    const wrong = [
      { host: { fd, port }, ...to() },
      { host: { fd }, ...to(), count: 2 },
      { host: { fd: -1 }, ...to() },
      { host: { fd: '3' }, ...to() },
    ] as unknown as SocketForwardSpec[];
    for (const spec of wrong) {
      await expect(forwarder.addAll([spec])).rejects.toThrow(/specs\[0\]\.(host|count)/);
    }
    closeSync(fd);
  });
});

/** The symbol under which node:dgram has a socket's handle. */
function stateOf(socket: object): symbol {
  const found = Object.getOwnPropertySymbols(socket).find((each) => String(each).includes('state'));
  if (found === undefined) throw new Error('no state');
  return found;
}
