// output-reader.ts: whether anybody reads what a command prints.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { watchFd } from '../system.js';

/**
 * Calls back once when nobody reads standard output any more, if that is a pipe. A command that goes on for long prints
 * too seldom to learn it from a failure.
 */
export function watchReader(onGone: () => void): Disposable {
  const fd = reopenPipe();
  if (fd === undefined) return { [Symbol.dispose]: () => undefined };
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    watch.close();
    closeSync(fd);
  };
  const watch = watchFd(fd, () => {
    close();
    onGone();
  });
  watch.unref();
  return { [Symbol.dispose]: close };
}

/** A descriptor of its own: Node may watch the other one. */
function reopenPipe(): number | undefined {
  try {
    if (!fstatSync(1).isFIFO()) return undefined;
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Closed, or not this user's to open: then only a failure to print tells.
    return undefined;
  }
}
