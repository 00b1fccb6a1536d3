import { describe, expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import { hello, httpd, image, server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const goneMs = 500;

describePodman('a container with a published port', (host) => {
  /** A container with a TCP and a UDP port. */
  const runWeb = async (...args: readonly string[]): Promise<number> => {
    const port = await host().sockets.freePorts();
    const publish = [`${port}:80`, `${port}:53/udp`].flatMap((one) => ['-p', one]);
    await host().run('--name', 'web', ...args, ...publish, ...server('whoami:80', 'udp:53'));
    expect(host().isForwarded(port) && host().isForwarded(port, 'udp')).toBe(true);
    return port;
  };
  const expectGone = async (port: number): Promise<void> => {
    expect(await host().sockets.isFree(port)).toBe(true);
    expect(await host().sockets.isFree(port, 'udp')).toBe(true);
    await until(() => host().helpers().length === 0, 'no process of the helper is left', goneMs);
  };
  const answers = (port: number): Promise<string> =>
    until(
      () =>
        host()
          .seenAddress({ port })
          .catch(() => ''),
      'the server answers again',
      10_000,
    );

  test.each([
    ['podman rm -f', ['rm', '-f', '-t', '0', 'web']],
    ['podman stop', ['stop', '-t', '5', 'web']],
    ['podman kill', ['kill', 'web']],
  ])('stops with %s, and its ports are free at once', async (_, command) => {
    const port = await runWeb();
    await host().podman(...command);
    if (command[0] === 'kill') await host().podman('wait', 'web');
    await expectGone(port);
  });

  test('frees its ports when its own process exits', async () => {
    const port = await runWeb('--rm');
    const pid = await host().podman('inspect', '--format', '{{.State.Pid}}', 'web');
    await host().machine.asRoot(['kill', '-9', pid]);
    await until(() => host().helpers().length === 0, 'no process of the helper is left', 10_000);
    await expectGone(port);
  });

  test('leaves no file of the helper behind', async () => {
    await host().podman('network', 'create', 'n1');
    const before = await host().stateFolder();
    const port = await host().sockets.freePorts();
    const id = await host().run('--network', 'n1', '-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().stateFolder()).toContain(id);
    await host().podman('rm', '-f', '-t', '0', id);
    await until(() => host().helpers().length === 0, 'no process of the helper is left', goneMs);
    const after = await host().stateFolder();
    const names = (list: string): string[] =>
      list.split('\n').filter((name) => !name.startsWith('rootless-netns'));
    expect(names(after)).toEqual(names(before));
  });

  test('gives its port to the next container at once, time after time', async () => {
    const port = await host().sockets.freePorts();
    for (let round = 0; round < 5; round += 1) {
      await host().run('--name', 'web', '-p', `${port}:80`, ...httpd);
      expect(host().isForwarded(port)).toBe(true);
      expect(await host().fetchSoon({ port })).toBe(hello);
      await host().podman('rm', '-f', '-t', '0', 'web');
    }
  });

  describe('when it is started again', () => {
    for (const network of ['slirp4netns', 'n1']) {
      test(`answers after podman restart, stop and start on ${network}`, async () => {
        await host().podman('network', 'create', 'n1');
        const port = await runWeb('--network', network);
        await host().podman('restart', '-t', '1', 'web');
        expect(await answers(port)).not.toBe('');
        await host().podman('stop', '-t', '1', 'web');
        expect(await host().sockets.isFree(port)).toBe(true);
        await host().podman('start', 'web');
        expect(await answers(port)).not.toBe('');
        expect(host().isForwarded(port) && host().isForwarded(port, 'udp')).toBe(true);
      });

      test(`answers after podman has restarted it by its policy on ${network}`, async () => {
        await host().podman('network', 'create', 'n1');
        const port = await runWeb('--restart', 'always', '--network', network);
        const pidOf = (): Promise<string> =>
          host().podman('inspect', '--format', '{{.State.Pid}}', 'web');
        const pid = await pidOf();
        await host().machine.asRoot(['kill', '-9', pid]);
        await until(async () => !['0', pid].includes(await pidOf()), 'a new process', 10_000);
        expect(await answers(port)).not.toBe('');
        expect(host().isForwarded(port) && host().isForwarded(port, 'udp')).toBe(true);
      });
    }
  });

  test('keeps a client waiting while its processes are stopped', async () => {
    const port = await runWeb();
    await host().podman('kill', '--signal', 'STOP', 'web');
    const seen = host().seenAddress({ port });
    const passer = await host().sockets.connect({ port });
    passer.destroy();
    await host().podman('kill', '--signal', 'CONT', 'web');
    expect(await seen).not.toBe('');
    expect(host().isForwarded(port)).toBe(true);
  });

  test('does not disturb containers that start and stop beside it', async () => {
    const ports = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const port = await host().sockets.freePorts();
        await host().run('-p', `${port}:80`, ...httpd);
        return port;
      }),
    );
    const [gone = '', ...others] = (await host().podman('ps', '-q')).split('\n');
    expect(others.length).toBe(3);
    await host().podman('rm', '-f', '-t', '0', gone);
    const held = ports.filter((port) => host().isForwarded(port));
    expect(held.length).toBe(3);
    for (const port of held) expect(await host().fetchSoon({ port })).toBe(hello);
  });

  test('can be removed after its helper was killed', async () => {
    const port = await runWeb();
    for (const { pid } of host().helpers()) process.kill(pid, 'SIGKILL');
    await until(() => host().helpers().length === 0, 'no process of the helper is left', goneMs);
    await host().podman('rm', '-f', '-t', '0', 'web');
    expect(await host().podman('ps', '-aq')).toBe('');
    await expectGone(port);
  });

  test('leaves nothing behind if it never starts', async () => {
    const port = await host().sockets.freePorts();
    const { code } = await host().tryPodman([
      'run',
      '--rm',
      '-p',
      `${port}:80`,
      image,
      'no-such-program',
    ]);
    expect(code).toBe(127);
    // Nobody waits for the helper here: it sees the end of the monitor, which podman does not wait
    // for either.
    await until(() => host().helpers().length === 0, 'no process of the helper is left', 10_000);
    await expectGone(port);
  });
});
