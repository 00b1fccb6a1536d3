import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { openFds } from '../helpers/process-facts.js';
import { settled, within } from '../helpers/wait.js';
import { hello, httpd, image, server } from './harness/podman-host.js';
import { describePodman, testBetters } from './harness/suite.js';
import { askUdp } from './harness/transfers.js';

/** Sends a text through an open `digest` server and expects it back. */
async function expectEcho(socket: Socket, text: string): Promise<void> {
  const echo = once(socket, 'data') as Promise<[Buffer]>;
  socket.write(text);
  const [data] = await within(echo, `the echo of ${text}`, 5_000);
  expect(data.toString()).toBe(text);
}

describePodman('a published port on podman’s networks', (host) => {
  /** Networks n1 and n2, and a container on n1 that keeps the user's network namespace alive. */
  const makeNetworks = async (): Promise<void> => {
    await host().podman('network', 'create', '--subnet', '172.30.1.0/24', 'n1');
    await host().podman('network', 'create', '--subnet', '172.30.2.0/24', 'n2');
    await host().run('--network', 'n1', image, 'sleep', '600');
  };

  test('is served on a network of the user’s own', async () => {
    await makeNetworks();
    const port = await host().sockets.freePorts();
    await host().run('--network', 'n1', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    for (const address of ['127.0.0.1', '::1']) {
      expect(await host().fetchSoon({ port, address })).toBe(hello);
    }
  });

  test('is served with a requested address', async () => {
    await makeNetworks();
    const port = await host().sockets.freePorts();
    await host().run(
      '--network',
      'n1',
      '--ip',
      '172.30.1.77',
      '-p',
      `${port}:80`,
      ...server('whoami:80'),
    );
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().seenAddress({ port })).toBe('172.30.1.77');
  });

  test.each([
    ['IPv6 alone', ['--ipv6', '--subnet', 'fd00:42::/64']],
    ['both families', ['--ipv6', '--subnet', 'fd00:42::/64', '--subnet', '172.30.3.0/24']],
  ])('is served to clients of both families on a network of %s', async (_, subnets) => {
    await host().podman('network', 'create', ...subnets, 'n6');
    const port = await host().sockets.freePorts();
    await host().run('--network', 'n6', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    for (const address of ['127.0.0.1', '::1']) {
      expect(await host().fetchSoon({ port, address })).toBe(hello);
    }
  });

  test('is served on an internal network', async () => {
    await host().podman('network', 'create', '--internal', 'n1');
    const port = await host().sockets.freePorts();
    await host().run('--network', 'n1', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });

  test('is served for containers of two networks at once', async () => {
    await makeNetworks();
    const port = await host().sockets.freePorts(2);
    await host().run('--network', 'n1', '-p', `${port}:80`, ...server('whoami:80'));
    await host().run('--network', 'n2', '-p', `${port + 1}:80`, ...server('whoami:80'));
    expect(host().isForwarded(port) && host().isForwarded(port + 1)).toBe(true);
    expect(await host().seenAddress({ port })).toContain('172.30.1.');
    expect(await host().seenAddress({ port: port + 1 })).toContain('172.30.2.');
  });

  describe('with podman network connect and disconnect', () => {
    const runWeb = async (): Promise<number> => {
      await makeNetworks();
      const port = await host().sockets.freePorts();
      const services = ['whoami:80', 'digest:81', 'udp:53'];
      const publish = [`${port}:80`, `${port + 1}:81`, `${port}:53/udp`].flatMap((one) => [
        '-p',
        one,
      ]);
      await host().run('--name', 'web', '--network', 'n1', ...publish, ...server(...services));
      expect(host().isForwarded(port) && host().isForwarded(port + 1)).toBe(true);
      return port;
    };

    test('is served on the second network when the first is disconnected', async () => {
      const port = await runWeb();
      const socket = await host().sockets.udp();
      const where = { address: '127.0.0.1', port };
      expect(await host().seenAddress({ port })).toContain('172.30.1.');
      await host().podman('network', 'connect', 'n2', 'web');
      expect(await host().seenAddress({ port })).toContain('172.30.');
      await host().podman('network', 'disconnect', 'n1', 'web');
      expect(await host().seenAddress({ port })).toContain('172.30.2.');
      expect((await askUdp(socket, 'whoami', where)).text).toContain('172.30.2.');
      expect(host().isForwarded(port)).toBe(true);
      socket.close();
    });

    test('is not served without a network, and again with one', async () => {
      const port = await runWeb();
      const before = await host().seenAddress({ port });
      await host().podman('network', 'disconnect', 'n1', 'web');
      const silent = host()
        .seenAddress({ port })
        .catch(() => '');
      expect(await within(silent, 'the end of a connection to nobody')).toBe('');
      await host().podman('network', 'connect', 'n1', 'web');
      const after = await host().seenAddress({ port });
      expect(after).toContain('172.30.1.');
      expect(after).not.toBe(before);
    });

    test('is still served if a network cannot be connected', async () => {
      const port = await runWeb();
      const { code } = await host().tryPodman(['network', 'connect', 'nowhere', 'web']);
      expect(code).toBe(125);
      expect(await host().seenAddress({ port })).toContain('172.30.1.');
    });

    test('is served after podman network reload', async () => {
      const port = await runWeb();
      const before = await host().seenAddress({ port });
      await host().podman('network', 'reload', 'web');
      expect(await host().seenAddress({ port })).toBe(before);
      await host().podman('network', 'connect', 'n2', 'web');
      await host().podman('network', 'reload', '--all');
      expect(await host().seenAddress({ port })).toContain('172.30.');
      expect(host().isForwarded(port)).toBe(true);
    });

    testBetters('keeps a live connection while networks come and go', async () => {
      const port = await runWeb();
      const socket = await host().sockets.connect({ port: port + 1 });
      await expectEcho(socket, 'before');
      await host().podman('network', 'connect', 'n2', 'web');
      await expectEcho(socket, 'between');
      await host().podman('network', 'disconnect', 'n2', 'web');
      await expectEcho(socket, 'after');
      socket.destroy();
    });

    testBetters('cuts a live connection at once that uses the disconnected network', async () => {
      const port = await runWeb();
      const socket = await host().sockets.connect({ port: port + 1 });
      await expectEcho(socket, 'before');
      await host().podman('network', 'connect', 'n2', 'web');
      await expectEcho(socket, 'between');
      // A client that waits for its server, and sends nothing by which it could notice.
      const failed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
      await host().podman('network', 'disconnect', 'n1', 'web');
      const [error] = await within(failed, 'the end of the connection', 2_000);
      expect(error.code).toBe('ECONNRESET');
      expect(await host().seenAddress({ port })).toContain('172.30.2.');
    });

    testBetters(
      'changes networks although clients hold all descriptors of the helper',
      async () => {
        await makeNetworks();
        const port = await host().sockets.freePorts(2);
        const publish = ['-p', `${port}:80`, '-p', `${port + 1}:81`];
        const web = ['--name', 'web', '--network', 'n1', ...publish];
        const run = ['run', '-d', ...web, ...server('whoami:80', 'digest:81')];
        expect(await host().tryPodman(run, { maxOpenFiles: 256 })).toMatchObject({ code: 0 });
        await host().untilServing('web');
        expect(await host().seenAddress({ port })).toContain('172.30.1.');
        const clients: Socket[] = [];
        while (clients.length < 150) {
          const client = await host().sockets.connect({ port: port + 1 });
          // It may be cut off with the network.
          clients.push(client.on('error', () => client.destroy()));
        }
        const [{ pid } = { pid: 0 }] = host().helpers();
        expect(await settled(() => openFds(pid), 'the helper')).toBeGreaterThan(128);
        for (const command of [
          ['network', 'connect', 'n2', 'web'],
          ['network', 'disconnect', 'n1', 'web'],
          ['ps'],
          ['inspect', 'web'],
        ]) {
          const outcome = host().tryPodman(command);
          expect(await within(outcome, command.join(' '), 10_000)).toMatchObject({ code: 0 });
        }
        for (const client of clients) client.destroy();
        expect(await host().seenAddress({ port })).toContain('172.30.2.');
      },
    );

    testBetters('rejects and cuts no connection meanwhile', async () => {
      const port = await runWeb();
      let isDone = false;
      const failures: unknown[] = [];
      const client = async (): Promise<void> => {
        while (!isDone) {
          const seen = await host()
            .seenAddress({ port })
            .catch((error: unknown) => error);
          if (typeof seen !== 'string' || seen === '') failures.push(seen);
        }
      };
      const clients = [client(), client(), client()];
      for (let round = 0; round < 10; round += 1) {
        await host().podman('network', 'connect', 'n2', 'web');
        await host().podman('network', 'disconnect', 'n2', 'web');
      }
      isDone = true;
      await Promise.all(clients);
      expect(failures).toEqual([]);
    });
  });
});
