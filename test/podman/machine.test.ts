import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import { httpd, PodmanHost } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

/**
 * Processes, containers' included, that use the network namespace or a child of the pid namespace
 * of `pid`.
 */
function usersOf(network: string, root: number): number[] {
  const descendants = new Set([root]);
  const parents = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .flatMap((pid) => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        const isInside = readlinkSync(`/proc/${pid}/ns/net`) === network;
        return [{ pid, parent: Number(parent), isInside }];
      } catch {
        return []; // It has ended in between.
      }
    });
  for (let before = 0; before !== descendants.size;) {
    before = descendants.size;
    for (const { pid, parent } of parents) if (descendants.has(parent)) descendants.add(pid);
  }
  for (const { pid, isInside } of parents) if (isInside) descendants.add(pid);
  return [...descendants];
}

describePodman('a machine that these tests boot', () => {
  test.each([
    ['is stopped', (host: PodmanHost) => host.stop()],
    [
      'loses its first process',
      (host: PodmanHost) => {
        process.kill(host.machine.pid, 'SIGKILL');
        return host.stop();
      },
    ],
  ])('leaves no process, user or mount when it %s', async (_, end) => {
    const outside = (): string[] =>
      ['/etc/passwd', '/etc/subuid', '/proc/self/mounts'].map((file) => readFileSync(file, 'utf8'));
    const before = outside();
    const host = await PodmanHost.start();
    const port = await host.sockets.freePorts();
    await host.run('-p', `${port}:80`, ...httpd);
    expect(host.isForwarded(port)).toBe(true);
    const network = readlinkSync(`/proc/${host.machine.pid}/ns/net`);
    const processes = usersOf(network, host.machine.pid);
    // Its first process, podman's pause process, slirp4netns, the helper, conmon and httpd.
    expect(processes.length).toBeGreaterThanOrEqual(6);
    await end(host);
    const left = (): number[] => processes.filter((pid) => existsSync(`/proc/${pid}`));
    await until(() => left().length === 0, 'every process is gone');
    expect(outside()).toEqual(before);
  });
});
