import type { Server } from 'node:net';
import { expect, test } from 'vitest';
import { hello, httpd, image, server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const sysctl = '/proc/sys/net/ipv4/ip_unprivileged_port_start';

describePodman('podman run -p of a port that is not available', (host) => {
  /**
   * Runs containers that must fail to start, at the same time because podman takes 3 s to believe
   * it, and looks for what they left behind; what podman printed about each.
   */
  const refusals = async (...published: readonly string[][]): Promise<string[]> => {
    const state = async (): Promise<unknown> => [
      await host().stateFolder(),
      host().helpers().length,
    ];
    const before = await state();
    const outputs = await Promise.all(
      published.map((ports) => {
        const publish = ports.flatMap((port) => ['-p', port]);
        return host().tryPodman(['run', '--rm', ...publish, image, 'true']);
      }),
    );
    for (const { code } of outputs) expect([125, 126]).toContain(code);
    expect(await state()).toEqual(before);
    return outputs.map(({ stderr }) => stderr.trim());
  };
  const taken = (protocol: string, port: number): string =>
    `Error: rootlessport listen ${protocol} 0.0.0.0:${port}: bind: address already in use`;

  test('names the port that another container has, which is still served', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await refusals([`${port}:80`])).toEqual([taken('tcp', port)]);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });

  test('names a UDP port in use', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:53/udp`, ...server('udp:53'));
    expect(await refusals([`${port}:53/udp`])).toEqual([taken('udp', port)]);
    expect(host().isForwarded(port, 'udp')).toBe(true);
  });

  test('names the port that another program has, on any address', async () => {
    const ports: number[] = [];
    const programs: Server[] = [];
    for (const address of ['127.0.0.1', '::1', '::']) {
      const port = await host().sockets.freePorts();
      programs.push(await host().sockets.listen(address, port));
      ports.push(port);
    }
    const messages = await refusals(...ports.map((port) => [`${port}:80`]));
    expect(messages).toEqual(ports.map((port) => taken('tcp', port)));
    for (const program of programs) program.close();
  });

  test('opens no port of a range if one is in use', async () => {
    const port = await host().sockets.freePorts(3);
    const program = await host().sockets.listen('127.0.0.1', port + 2);
    expect(await refusals([`${port}-${port + 2}:8000-8002`])).toEqual([taken('tcp', port + 2)]);
    expect(await host().sockets.isFree(port)).toBe(true);
    program.close();
  });

  test('rejects addresses that overlap, between containers or within one', async () => {
    const published: string[][] = [];
    for (const [first, second] of [
      ['', '0.0.0.0:'],
      ['', '[::]:'],
      ['', '127.0.0.1:'],
      ['', '[::1]:'],
      ['127.0.0.1:', ''],
      ['[::1]:', ''],
    ] as const) {
      const port = await host().sockets.freePorts();
      await host().run('-p', `${first}${port}:80`, ...httpd);
      expect(host().isForwarded(port)).toBe(true);
      published.push([`${second}${port}:80`]);
    }
    const port = await host().sockets.freePorts();
    published.push([`${port}:80`, `127.0.0.1:${port}:80`]);
    for (const message of await refusals(...published)) {
      expect(message).toContain('address already in use');
    }
  });

  test('names the sysctl for a privileged port', async () => {
    const [tcp, udp] = await refusals(['80:80'], ['127.0.0.1:443:80/udp']);
    expect(tcp).toBe(
      'Error: rootlessport cannot expose privileged port 80, you can add ' +
        "'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), " +
        'or choose a larger port number (>= 1024): listen tcp 0.0.0.0:80: bind: permission denied',
    );
    expect(udp).toContain(
      'port number (>= 1024): listen udp 127.0.0.1:443: bind: permission denied',
    );
  });

  test('names an address that the host does not have', async () => {
    const port = await host().sockets.freePorts();
    const addresses = ['203.0.113.7', '[2001:db8::7]'];
    expect(await refusals(...addresses.map((address) => [`${address}:${port}:80`]))).toEqual(
      addresses.map(
        (address) =>
          `Error: rootlessport listen tcp ${address}:${port}: bind: cannot assign requested address`,
      ),
    );
  });

  test('serves port 80 once the sysctl allows it', async () => {
    await host().machine.asRoot(['sh', '-c', `echo 80 > ${sysctl}`]);
    try {
      await host().run('-p', '80:80', ...httpd);
      expect(host().isForwarded(80)).toBe(true);
      expect(await host().fetchSoon({ port: 80 })).toBe(hello);
    } finally {
      await host().machine.asRoot(['sh', '-c', `echo 1024 > ${sysctl}`]);
    }
  });
});
