// output-reader.ts: notices when nobody reads a command's output any more.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { watchFd } from '../system.js';

/**
 * If stdout is a pipe, calls back once its reader is gone. A command that runs for long prints too
 * seldom to notice it by a failure.
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

/** A separate descriptor: Node may already watch the other one. */
function reopenPipe(): number | undefined {
  try {
    if (!fstatSync(1).isFIFO()) return undefined;
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Closed, or this user may not open it: then only a failed write shows it.
    return undefined;
  }
}
