// check-config.ts: what must hold of a configuration before anything is done for it.

import { isDockers } from '../docker/docker-port.js';
import type { Config } from './config.js';

/**
 * Checks what is not about ports.
 * @param isPassed - Whether the caller passed a descriptor.
 * @throws Error with the text for the caller
 */
export function checkConfig(config: Config, isPassed: (fd: number) => boolean): void {
  // What dockerd's proxies write has none of it.
  if (isDockers(config)) return;
  const { netnsPath, exitFd, readyFd } = config;
  if (netnsPath === '') throw new Error('missing NetNSPath');
  if (exitFd <= 0) throw new Error('missing ExitFD');
  if (!isPassed(exitFd)) throw new Error('invalid ExitFD');
  if (readyFd <= 0) throw new Error('missing ReadyFD');
  if (!isPassed(readyFd)) throw new Error('invalid ReadyFD');
  // No call takes such a path, so none can refuse it.
  if (netnsPath.includes('\0')) throw new Error(`open ${netnsPath}: invalid argument`);
}
