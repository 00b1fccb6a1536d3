import type { Socket } from 'node:net';
import { expect } from 'vitest';
import { openFds, privateMemoryKiB } from '../helpers/process-facts.js';
import { settled, until } from '../helpers/wait.js';
import { execute } from './harness/execute.js';
import { image, server, serverVolumes, textOf } from './harness/podman-host.js';
import { describePodman, testBetters } from './harness/suite.js';
import { askUdp } from './harness/transfers.js';

describePodman('the helper, unlike the packaged one', (host) => {
  const sum = (measure: (pid: number) => number): number =>
    host()
      .helpers()
      .reduce((total, { pid }) => total + measure(pid), 0);

  /** Opens idle connections, each known to have reached the container. */
  const connectIdle = async (port: number, count: number): Promise<Socket[]> => {
    const sockets: Socket[] = [];
    for (let index = 0; index < count; index += 1) {
      const socket = await host().sockets.connect({ port });
      socket.write('x');
      await until(() => socket.read() !== null, 'an echo');
      sockets.push(socket);
    }
    return sockets;
  };

  testBetters('needs two descriptors and less than 2 KiB for an idle connection', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...server('digest:80'));
    expect(host().isForwarded(port)).toBe(true);
    const warm = await connectIdle(port, 20);
    const before = { fds: sum(openFds), memoryKiB: sum(privateMemoryKiB) };
    const count = 400;
    const sockets = await connectIdle(port, count);
    expect(sum(openFds) - before.fds).toBeLessThanOrEqual(2 * count + 4);
    expect(sum(privateMemoryKiB) - before.memoryKiB).toBeLessThan(2 * count);
    for (const socket of [...warm, ...sockets]) socket.destroy();
    await until(() => sum(openFds) <= before.fds - 2 * warm.length, 'the descriptors are closed');
  });

  testBetters(
    'still listens after it ran out of descriptors, and clients wait meanwhile',
    async () => {
      const port = await host().sockets.freePorts();
      await host().run('-p', `${port}:80`, ...server('digest:80'));
      const limitTo = async (fds: number): Promise<void> => {
        for (const { pid } of host().helpers()) {
          // As who the helper is, because only that user may.
          const inside = ['--target', `${pid}`, '--user', 'prlimit', '--pid', `${pid}`];
          const { code, stderr } = await execute('nsenter', [...inside, `--nofile=${fds}:1024`]);
          expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        }
      };
      await limitTo(1);
      const sockets: Socket[] = [];
      for (let index = 0; index < 10; index += 1) {
        sockets.push(await host().sockets.connect({ port }));
      }
      await settled(() => sum(openFds), 'the helper');
      await limitTo(1024);
      for (const socket of sockets) {
        socket.end('text');
        expect(await textOf(socket)).toContain('text');
      }
      expect(host().isForwarded(port)).toBe(true);
    },
  );

  testBetters('keeps a flow while the server is away for a while', async () => {
    const port = await host().sockets.freePorts();
    await host().run(
      '--name',
      'web',
      '-p',
      `${port}:53/udp`,
      ...serverVolumes,
      image,
      'sleep',
      '600',
    );
    expect(host().isForwarded(port, 'udp')).toBe(true);
    const pid = await host().podman('inspect', '--format', '{{.State.Pid}}', 'web');
    const isServed = async (): Promise<boolean> => {
      const { stdout } = await host().machine.asRoot(['cat', `/proc/${pid}/net/udp6`]);
      return stdout.includes(':0035 ');
    };
    const serve = async (): Promise<void> => {
      await host().podman('exec', '-d', 'web', '/node', '/server.mjs', 'udp:53');
      await until(isServed, 'a server', 10_000);
    };
    const where = { address: '127.0.0.1', port };
    const socket = await host().sockets.udp();
    await serve();
    const before = await askUdp(socket, 'port', where);
    await host().podman('exec', 'web', 'sh', '-c', 'kill $(pidof node)');
    await until(async () => !(await isServed()), 'no server', 10_000);
    for (let index = 0; index < 3; index += 1) socket.send('to nobody', port, '127.0.0.1');
    await settled(() => sum(openFds), 'the flow');
    await serve();
    expect((await askUdp(socket, 'port', where)).text).toBe(before.text);
    socket.close();
  });

  for (const address of ['127.0.0.2', '192.0.2.2', '2001:db8::2']) {
    testBetters(`replies from the address that the client sent to: ${address}`, async () => {
      const port = await host().sockets.freePorts();
      await host().run('-p', `${port}:53/udp`, ...server('udp:53'));
      expect(host().isForwarded(port, 'udp')).toBe(true);
      const socket = await host().sockets.udp(address.includes(':') ? '::1' : '127.0.0.1');
      const answer = await askUdp(socket, 'question', { address, port });
      expect(answer).toEqual({ text: 'question', address, port });
      socket.close();
    });
  }
});
