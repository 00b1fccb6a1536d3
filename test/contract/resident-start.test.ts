// resident-start.test.ts: what a resident loads before it answers, since a shim without one waits
// for that.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listenUnix } from '../../src/system.js';

const program = fileURLToPath(new URL('../../lib/resident/main.cjs', import.meta.url));
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-start-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

test('a resident that starts loads no module of node beyond those that node starts with', () => {
  const directory = openSync(folder, 'r');
  const listener = listenUnix('stream', directory, 'socket');
  const preload = join(folder, 'preload.cjs');
  writeFileSync(
    preload,
    `require('node:vm');
    const before = new Set(process.moduleLoadList);
    setImmediate(() => {
      console.log(process.moduleLoadList.filter((name) => !before.has(name)).join());
      process.exit();
    });`,
  );
  const { stdout } = spawnSync(process.execPath, ['--require', preload, program], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit', listener],
    env: { XDG_RUNTIME_DIR: folder },
  });
  closeSync(listener);
  closeSync(directory);
  // What a class of node's brings with it in later versions.
  const own = /^(Internal Binding signal_wrap|NativeModule internal\/async_local_storage\/.*)$/;
  const loaded = stdout.trim().split(',');
  expect(loaded).toContain('Internal Binding signal_wrap');
  expect(loaded.filter((name) => !own.test(name))).toEqual([]);
});
