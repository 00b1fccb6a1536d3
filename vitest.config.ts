import { defineConfig } from 'vitest/config';

/** A kind of test: the folder of that name under test/. Each file runs in a process of its own. */
function project(
  name: string,
  options: { readonly timeoutMs: number; readonly parallel?: boolean },
) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      pool: 'forks' as const,
      fileParallelism: options.parallel ?? false,
      testTimeout: options.timeoutMs,
      hookTimeout: options.timeoutMs,
      // Real kernels, podman and a shared machine: one stumble of theirs should not hide what a change did.
      retry: process.env['CI'] === undefined ? 0 : 1,
      // Projects that differ in parallelism must not share a group.
      sequence: { groupOrder: options.parallel === true ? 0 : 1 },
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      project('unit', { timeoutMs: 10_000, parallel: true }),
      project('contract', { timeoutMs: 30_000 }),
      project('netns', { timeoutMs: 60_000 }),
      project('lifecycle', { timeoutMs: 60_000 }),
      project('faults', { timeoutMs: 120_000 }),
      project('podman', { timeoutMs: 180_000 }),
    ],
  },
});
