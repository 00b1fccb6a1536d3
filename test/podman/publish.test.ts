import { once } from 'node:events';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { helperFolder } from './harness/helper.js';
import { hello, httpd, image, server, textOf } from './harness/podman-host.js';
import { describePodman, testBetters } from './harness/suite.js';
import { askUdp } from './harness/transfers.js';

const everywhere = ['127.0.0.1', '127.0.0.2', '192.0.2.2', '::1', '2001:db8::2'];

describePodman('podman run -p', (host) => {
  test('serves every address of the host, of both families', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    await host().fetchSoon({ port });
    for (const address of everywhere) {
      expect(await host().fetch({ port, address })).toBe(hello);
    }
  });

  test('serves files that exist from the start and files created later', async () => {
    const port = await host().sockets.freePorts();
    await host().run('--name', 'web', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
    await host().podman('exec', 'web', 'sh', '-c', 'echo later > /www/later.txt');
    expect(await host().fetch({ port }, '/later.txt')).toBe('later\n');
  });

  test('serves a container that shares the network of the host', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    await host().fetchSoon({ port });
    const url = `http://127.0.0.1:${port}/hello.txt`;
    const client = await host().podman('run', '--rm', '--net=host', image, 'wget', '-qO-', url);
    expect(client).toBe(hello.trim());
  });

  test('serves the port that podman port and podman ps name', async () => {
    const port = await host().sockets.freePorts();
    await host().run('--name', 'web', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().podman('port', 'web')).toBe(`80/tcp -> 0.0.0.0:${port}`);
    expect(await host().podman('port', 'web', '80/tcp')).toBe(`0.0.0.0:${port}`);
    expect(await host().podman('ps')).toContain(`0.0.0.0:${port}->80/tcp`);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });

  test.each([
    ['-p without a host port', ['-p', '80']],
    ['-P', ['--expose', '80', '-P']],
  ])('serves a port of podman’s choice: %s', async (_, publish) => {
    await host().run('--name', 'web', ...publish, ...httpd);
    const port = Number((await host().podman('port', 'web', '80')).split(':').at(-1));
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });

  test('serves each port of a range, and keeps each in use', async () => {
    const port = await host().sockets.freePorts(4);
    await host().run('-p', `${port}-${port + 3}:8000-8003`, ...server('digest:8000-8003'));
    for (let each = port; each < port + 4; each += 1) {
      expect(host().isForwarded(each)).toBe(true);
      expect(await host().sockets.isFree(each, 'tcp', '127.0.0.1')).toBe(false);
      const socket = await host().sockets.connect({ port: each });
      socket.end('text');
      expect(await textOf(socket)).toMatch(/^text[0-9a-f]{64}$/);
    }
  });

  test('serves a UDP port, under another number than in the container', async () => {
    await host().run('-p', '5353:53/udp', ...server('udp:53'));
    expect(host().isForwarded(5353, 'udp')).toBe(true);
    for (const address of ['127.0.0.1', '::1']) {
      const socket = await host().sockets.udp(address);
      const answer = await askUdp(socket, 'question', { address, port: 5353 });
      expect(answer).toEqual({ text: 'question', address, port: 5353 });
      socket.close();
    }
  });

  test('serves one number over TCP and UDP, and several ports of one container', async () => {
    const port = await host().sockets.freePorts(2);
    const publish = [`${port}:80`, `${port}:53/udp`, `${port + 1}:81`].flatMap((one) => [
      '-p',
      one,
    ]);
    await host().run(...publish, ...server('whoami:80', 'udp:53', 'whoami:81'));
    expect(host().isForwarded(port, 'udp')).toBe(true);
    for (const each of [port, port + 1]) {
      expect(host().isForwarded(each)).toBe(true);
      expect(await host().seenAddress({ port: each })).not.toBe('');
    }
    const socket = await host().sockets.udp();
    const { text } = await askUdp(socket, 'question', { address: '127.0.0.1', port });
    expect(text).toBe('question');
    socket.close();
  });

  test('relays what the container prints and what a client sends', async () => {
    const port = await host().sockets.freePorts();
    const id = await host().run('-p', `127.0.0.1:${port}:99`, image, 'nc', '-l', '-p', '99');
    expect(host().isForwarded(port)).toBe(true);
    const socket = await host().sockets.connect({ port });
    socket.end('a message\n');
    await host().podman('wait', id);
    expect(await host().podman('logs', id)).toBe('a message');
  });

  test('finds the helper by helper_binaries_dir of containers.conf, too', async () => {
    const port = await host().sockets.freePorts();
    const folders = [helperFolder, '/usr/lib/podman', '/usr/libexec/podman'];
    const file = '/run/test/helper.conf';
    const setting = `[engine]\nhelper_binaries_dir = ${JSON.stringify(folders)}\n`;
    const defaults = readFileSync(
      host().machine.outside('/etc/containers/containers.conf'),
      'utf8',
    );
    writeFileSync(host().machine.outside(file), defaults.replace('[engine]\n', setting));
    const command = ['podman', 'run', '-d', '-p', `${port}:80`, ...httpd];
    const { code } = await host().machine.asUser(command, { env: { CONTAINERS_CONF: file } });
    expect(code).toBe(0);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().fetchSoon({ port })).toBe(hello);
  });

  testBetters('leaves a helper that keeps neither podman’s pipes nor its terminal', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    for (const { pid } of host().helpers()) {
      const outputs = [1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      expect(outputs).toEqual(['/dev/null', '/dev/null']);
    }
  });

  describe('on one address', () => {
    for (const [address, others] of [
      ['127.0.0.1', ['127.0.0.2', '::1']],
      ['127.0.0.2', ['127.0.0.1', '::1']],
      ['192.0.2.2', ['127.0.0.1', '::1']],
      ['::1', ['127.0.0.1', '2001:db8::2']],
      ['2001:db8::2', ['127.0.0.1', '::1']],
    ] as const) {
      test(`serves only ${address}`, async () => {
        const port = await host().sockets.freePorts();
        await host().run('-p', `[${address}]:${port}:80`, ...httpd);
        expect(host().isForwarded(port)).toBe(true);
        expect(await host().fetchSoon({ port, address })).toBe(hello);
        for (const other of others) {
          await expect(host().fetch({ port, address: other })).rejects.toThrow('ECONNREFUSED');
        }
      });
    }

    test('allows two containers one port number on two addresses', async () => {
      const port = await host().sockets.freePorts();
      await host().run('-p', `127.0.0.1:${port}:80`, ...server('whoami:80'));
      await host().run('-p', `127.0.0.2:${port}:80`, ...httpd);
      expect(host().helpers().length).toBeGreaterThan(1);
      expect(await host().fetchSoon({ port, address: '127.0.0.2' })).toBe(hello);
      expect(await host().seenAddress({ port })).not.toBe('');
    });
  });

  test('closes a connection when the container has closed it, and not before', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...server('digest:80'));
    expect(host().isForwarded(port)).toBe(true);
    const socket = await host().sockets.connect({ port });
    socket.write('open');
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toBe('open');
    socket.end('-ended');
    expect(await textOf(socket)).toMatch(/^-ended[0-9a-f]{64}$/);
  });
});
