import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onEnd } from '../../src/engines/podman/descriptors.js';
import { takeWatch } from '../../src/system.js';

/** A number that is no descriptor. */
function closedFd(): number {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-descriptors-'));
  const fd = openSync(folder, 'r');
  closeSync(fd);
  rmSync(folder, { recursive: true });
  return fd;
}

test('an ExitFD that cannot be watched is an error, not the end of the container', () => {
  let isOver = false;
  expect(() => onEnd(closedFd(), () => (isOver = true))).toThrow(/^cannot watch ExitFD: .*EBADF/);
  expect(isOver).toBe(false);
});

test('a watch that cannot be created is an error that can be caught', () => {
  const fd = openSync('/proc/self/exe', 'r');
  // In Node it would end the process.
  expect(() => takeWatch(fd)).toThrow('epoll_ctl EPERM');
  closeSync(fd);
});
