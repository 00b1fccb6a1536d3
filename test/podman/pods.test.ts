import { describe, expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import { hello, httpd, image, server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';
import { askUdp } from './harness/transfers.js';

describePodman('a pod', (host) => {
  /** A pod that publishes TCP and UDP ports; its first host port. */
  const createPod = async (...args: readonly string[]): Promise<number> => {
    const port = await host().sockets.freePorts(2);
    const publish = [`${port}:80`, `${port + 1}:81`, `${port}:53/udp`].flatMap((one) => [
      '-p',
      one,
    ]);
    await host().podman('pod', 'create', '--name', 'pod', ...args, ...publish);
    return port;
  };

  test('serves its containers, each on its port', async () => {
    const port = await createPod();
    await host().run('--pod', 'pod', ...httpd);
    await host().run('--pod', 'pod', ...server('whoami:81', 'udp:53'));
    expect(host().isForwarded(port) && host().isForwarded(port, 'udp')).toBe(true);
    for (const address of ['127.0.0.1', '::1']) {
      expect(await host().fetchSoon({ port, address })).toBe(hello);
      expect(await host().seenAddress({ port: port + 1, address })).toBe('10.0.2.100');
    }
    const socket = await host().sockets.udp();
    const { text } = await askUdp(socket, 'question', { address: '127.0.0.1', port });
    expect(text).toBe('question');
    socket.close();
  });

  test('serves its ports on a network of the user’s own', async () => {
    await host().podman('network', 'create', '--subnet', '172.30.1.0/24', 'n1');
    const port = await createPod('--network', 'n1');
    await host().run('--pod', 'pod', ...server('whoami:80'));
    expect(host().isForwarded(port)).toBe(true);
    expect(await host().seenAddress({ port })).toMatch(/^172\.30\.1\.\d+$/);
  });

  test('relays a message to a container, and shows the port in podman ps', async () => {
    const port = await host().sockets.freePorts();
    await host().podman('pod', 'create', '--name', 'pod', '-p', `${port}:80`);
    const id = await host().run('--pod', 'pod', image, 'nc', '-l', '-p', '80');
    expect(host().isForwarded(port)).toBe(true);
    const second = await host().tryPodman(['run', '--pod', 'pod', image, 'nc', '-l', '-p', '80']);
    expect(second).toMatchObject({ code: 1, stderr: 'nc: bind: Address already in use\n' });
    expect(await host().podman('ps', '--filter', `id=${id}`)).toContain(`0.0.0.0:${port}->80/tcp`);
    const socket = await host().sockets.connect({ port });
    socket.end('a message\n');
    await host().podman('wait', id);
    expect(await host().podman('logs', id)).toBe('a message');
  });

  test('frees its ports when it is stopped or removed, and serves them when it is started', async () => {
    const port = await createPod();
    await host().run('--name', 'web', '--pod', 'pod', ...server('whoami:80'));
    const expectAnswer = async (): Promise<void> => {
      const seen = (): Promise<string> =>
        host()
          .seenAddress({ port })
          .catch(() => '');
      expect(await until(seen, 'the server answers', 10_000)).toBe('10.0.2.100');
      expect(host().isForwarded(port) && host().isForwarded(port, 'udp')).toBe(true);
    };
    await expectAnswer();
    await host().podman('pod', 'stop', '-t', '5', 'pod');
    expect(await host().sockets.isFree(port)).toBe(true);
    await host().podman('pod', 'start', 'pod');
    await expectAnswer();
    await host().podman('pod', 'restart', 'pod');
    await expectAnswer();
    await host().podman('pod', 'rm', '-f', '-t', '0', 'pod');
    for (const each of [port, port + 1]) expect(await host().sockets.isFree(each)).toBe(true);
    expect(await host().sockets.isFree(port, 'udp')).toBe(true);
  });

  describe('from a kube file', () => {
    const kubeFile = (ports: readonly string[], command: readonly string[]): string => `
apiVersion: v1
kind: Pod
metadata:
  name: kube
spec:
  containers:
  - name: web
    image: localhost/${image}
    imagePullPolicy: Never
    command: [${command.map((word) => `"${word}"`).join(', ')}]
    ports: [${ports.join(', ')}]`;
    const web = ['/bin/httpd', '-f', '-p', '80', '-h', '/www'];
    const play = ['play', 'kube'];

    test('serves a host port', async () => {
      const port = await host().sockets.freePorts();
      await host().podmanReads(
        kubeFile([`{containerPort: 80, hostPort: ${port}}`], web),
        ...play,
        '-',
      );
      expect(host().isForwarded(port)).toBe(true);
      expect(await host().fetchSoon({ port })).toBe(hello);
    });

    test('serves several host ports, of one protocol and of both', async () => {
      const port = await host().sockets.freePorts(2);
      const ports = [
        `{containerPort: 80, hostPort: ${port}}`,
        `{containerPort: 80, hostPort: ${port + 1}}`,
        `{containerPort: 53, hostPort: ${port}, protocol: UDP}`,
      ];
      await host().podmanReads(kubeFile(ports, web), ...play, '-');
      expect(host().isForwarded(port, 'udp')).toBe(true);
      for (const each of [port, port + 1]) {
        expect(host().isForwarded(each)).toBe(true);
        expect(await host().fetchSoon({ port: each })).toBe(hello);
      }
    });

    test('publishes nothing without ports', async () => {
      await host().podmanReads(kubeFile([], web), ...play, '-');
      expect(host().helpers()).toEqual([]);
      await expect(host().fetch({ port: 80 })).rejects.toThrow('ECONNREFUSED');
    });

    test('names the sysctl for a privileged host port', async () => {
      const input = kubeFile(['{containerPort: 80, hostPort: 80}'], web);
      const { code, stderr } = await host().tryPodman([...play, '-'], { input });
      expect(code).toBe(125);
      expect(stderr).toContain('rootlessport cannot expose privileged port 80');
      expect(await host().sockets.isFree(80)).toBe(true);
    });

    test('frees its ports with podman play kube --down', async () => {
      const port = await host().sockets.freePorts();
      const yaml = kubeFile([`{containerPort: 80, hostPort: ${port}}`], web);
      await host().podmanReads(yaml, ...play, '-');
      expect(host().isForwarded(port)).toBe(true);
      await host().podmanReads(yaml, ...play, '--down', '-');
      expect(await host().sockets.isFree(port)).toBe(true);
    });
  });
});
