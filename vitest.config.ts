import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Where scripts/debian-root.sh has put Debian roots, each named by its suite. */
const rootsFolder = process.env['SPLICEPORT_ROOTS'] ?? '/var/cache/spliceport';
const roots = ['trixie', 'sid']
  .map((suite) => ({ suite, folder: join(rootsFolder, suite) }))
  .filter(({ folder }) => existsSync(join(folder, 'etc/spliceport-root')));

/** Containers are served by a process of their own, instead of a shim and a resident. */
const ownProcess = { SPLICEPORT_TEST_PROCESS: 'own' };

/**
 * Of the tests with Podman, those that start, reload and end helpers, with each network. The others
 * see traffic, texts and the command line, which are the same code for both kinds of process; all
 * of them twice would take minutes of each run.
 */
const podmanOwn = {
  timeoutMs: 180_000,
  folder: 'podman',
  files: '{lifecycle,migrate,networks,publish}',
};

interface ProjectOptions {
  readonly timeoutMs: number;
  readonly parallel?: boolean;
  /** Default: the project's name. */
  readonly folder?: string;
  /** Names of its files. Default: all. */
  readonly files?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A kind of test: a folder under test/. Each file runs in a process of its own. */
function project(name: string, options: ProjectOptions) {
  return {
    test: {
      name,
      include: [`test/${options.folder ?? name}/**/${options.files ?? '*'}.test.ts`],
      env: { ...options.env },
      pool: 'forks' as const,
      fileParallelism: options.parallel ?? false,
      testTimeout: options.timeoutMs,
      hookTimeout: options.timeoutMs,
      // Real kernels, podman and a shared machine: one stumble of theirs should not hide what a
      // change did.
      retry: process.env['CI'] === undefined ? 0 : 1,
      // Projects that differ in parallelism must not share a group.
      sequence: { groupOrder: options.parallel === true ? 0 : 1 },
    },
  };
}

/** Root of this machine: root of a user namespace has no overlays and no devices. */
const [, , ownIds] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
const isRoot = process.getuid?.() === 0 && Number(ownIds) > 65_536;

/** `npm run soak` sets how long; without it, the soak is no part of the tests. */
const soakMinutes = Number(process.env['SPLICEPORT_SOAK_MINUTES'] ?? 0);

export default defineConfig({
  test: {
    projects: [
      project('unit', { timeoutMs: 10_000, parallel: true }),
      project('library', { timeoutMs: 30_000 }),
      project('contract', { timeoutMs: 30_000 }),
      project('contract-own', {
        timeoutMs: 30_000,
        folder: 'contract',
        files: '{rootlessport-*,settings-helper,*logs,descriptors}',
        env: ownProcess,
      }),
      project('netns', { timeoutMs: 60_000 }),
      project('lifecycle', { timeoutMs: 60_000 }),
      // Most of them fail calls of Node's.
      project('faults', { timeoutMs: 120_000, env: ownProcess }),
      project('podman', { timeoutMs: 180_000 }),
      project('podman-own', { ...podmanOwn, env: ownProcess }),
      ...roots.map(({ suite, folder }) =>
        project(`podman-${suite}`, {
          timeoutMs: 180_000,
          folder: 'podman',
          env: { SPLICEPORT_DEBIAN_ROOT: folder },
        }),
      ),
      ...(isRoot ? [project('docker', { timeoutMs: 60_000 })] : []),
      ...roots
        .filter(() => isRoot)
        .map(({ suite, folder }) =>
          project(`docker-${suite}`, {
            timeoutMs: 60_000,
            folder: 'docker',
            env: { SPLICEPORT_DEBIAN_ROOT: folder },
          }),
        ),
      ...roots
        .filter(({ suite }) => suite === 'trixie')
        .map(({ suite, folder }) =>
          project(`podman-${suite}-own`, {
            ...podmanOwn,
            env: { ...ownProcess, SPLICEPORT_DEBIAN_ROOT: folder },
          }),
        ),
      ...roots
        .filter(({ suite }) => suite === 'trixie' && isRoot)
        .map(({ folder }) =>
          project('package', { timeoutMs: 300_000, env: { SPLICEPORT_DEBIAN_ROOT: folder } }),
        ),
      ...(soakMinutes > 0 ? [project('soak', { timeoutMs: (soakMinutes + 2) * 60_000 })] : []),
    ],
  },
});
