// process-exit.ts: calls back when a process exits. The kernel reports it, so nothing is polled,
// and a later process with the same pid is not mistaken for it.

import { SpliceportSystemError } from '../errors.js';
import { binding, isNativeFailure, type FdWatcher } from './binding.js';

/** A watch for the exit of a process. */
export interface ProcessWatch {
  /** May be called twice. */
  close(): void;
}

/**
 * Watches a process, which need not be a child, until it has exited. It does not keep this process
 * alive.
 * @returns Undefined if the process has exited already.
 * @throws SpliceportSystemError such as `EMFILE`; before Linux 5.3, always
 * @see pidfd_open(2)
 */
export function watchProcess(pid: number, onExit: () => void): ProcessWatch | undefined {
  const pidfd = binding.openPidfd(pid);
  if (isNativeFailure(pidfd)) {
    const failure = new SpliceportSystemError(pidfd);
    if (failure.code === 'ESRCH') return undefined;
    throw failure;
  }
  const onReadable = (): void => {
    watcher.close();
    onExit();
  };
  const watcher = startWatch(pidfd, onReadable);
  watcher.unref();
  return watcher;
}

/** The watch closes the descriptor: Node itself would not, when a worker thread ends. */
function startWatch(ownFd: number, onReadable: () => void): FdWatcher {
  try {
    return new binding.FdWatcher(ownFd, onReadable, undefined, true);
  } catch (error) {
    throw isNativeFailure(error) ? new SpliceportSystemError(error) : error;
  }
}
