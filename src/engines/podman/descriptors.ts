// descriptors.ts: the descriptors that the helper's caller passed to it.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { replaceFd, watchFd } from '../../system.js';
import { writeAll } from './streams.js';

/** Set by libexec/rootlessport: what was open before node opened descriptors of its own. */
const INHERITED = 'SPLICEPORT_INHERITED_FDS';
const CHUNK_BYTES = 64 * 1024;

/**
 * The descriptors that the caller passed; undefined when the helper was started without its script.
 */
export function takeInheritedFds(): ReadonlySet<number> | undefined {
  const list = process.env[INHERITED];
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it is nobody else's business
  delete process.env[INHERITED];
  return list === undefined ? undefined : new Set(list.split(' ').filter(Boolean).map(Number));
}

/** Whether the caller passed this descriptor. */
export function isPassed(fd: number, inherited: ReadonlySet<number> | undefined): boolean {
  if (inherited !== undefined) return inherited.has(fd);
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

/**
 * Calls back when the descriptor comes to its end; what is written to it before is nobody's.
 * @throws Error where it cannot be watched: a helper that never hears of its end must not begin
 */
export function onEnd(fd: number, callback: () => void): void {
  try {
    watchFd(fd, () => {
      if (isAtEnd(fd)) callback();
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM') throw new Error(`cannot watch ExitFD: ${message}`, { cause: error });
    // A file of a kind that never keeps a reader waiting: its end is there already.
    setImmediate(callback);
  }
}

function isAtEnd(fd: number): boolean {
  try {
    return readSync(fd, Buffer.allocUnsafe(CHUNK_BYTES)) === 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EAGAIN';
  }
}

/**
 * Lets go of the caller's standard output and error: it waits for their end.
 * @param errorFd - Takes what the runtime says when it aborts. Default: nobody hears it.
 */
export function releaseOutput(errorFd?: number): void {
  const fd = openSync('/dev/null', constants.O_WRONLY);
  replaceFd(fd, 1);
  replaceFd(errorFd ?? fd, 2);
  closeSync(fd);
}

/** Writes `1` to the descriptor and closes it, also when the caller no longer listens. */
export function signalReady(fd: number): void {
  writeAll(fd, '1');
  try {
    closeSync(fd);
  } catch {
    // It was no descriptor that can be closed; the caller has been told already.
  }
}
