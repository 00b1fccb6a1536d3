// notify.ts: reports this service's state to systemd. @see sd_notify(3)

import { closeSync, constants, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { enteredTarget, type OuterNotice } from '../forward/outer-process.js';
import { remark } from '../output.js';
import { connectUnix, send } from '../../system.js';
import { isForUs } from './own-variables.js';

/** More time than the sessions have, for what comes after. */
const EXTRA_STOP_MS = 10_000;

/** Variables of a message, such as `{ READY: 1 }`. */
type Message = Readonly<Record<string, string | number>>;

/** Reports nothing if systemd did not ask for it. */
export class ServiceManager implements Disposable {
  readonly #path = process.env['NOTIFY_SOCKET'] ?? '';
  #watchdog: NodeJS.Timeout | undefined;
  #status = '';

  /**
   * The service does its work. From here on, the watchdog, if there is one, hears that it lives.
   */
  ready(status: string): void {
    this.#status = status;
    this.#send({ READY: 1, STATUS: status });
    const watchdogMs = watchdogIntervalMs();
    if (this.#path === '' || watchdogMs === undefined) return;
    // Half of it, as systemd recommends.
    this.#watchdog = setInterval(() => this.#send({ WATCHDOG: 1 }), watchdogMs / 2).unref();
  }

  /** A sentence that `systemctl status` shows. */
  status(status: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#send({ STATUS: status });
  }

  /**
   * The service will exit.
   * @param drainMs - How long its sessions may continue.
   */
  stopping(drainMs = 0): void {
    const stopMs = drainMs + EXTRA_STOP_MS;
    const extended = drainMs > 0 && { EXTEND_TIMEOUT_USEC: stopMs * 1_000 };
    this.#send({ STOPPING: 1, STATUS: 'Stopping', ...extended });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#watchdog);
  }

  #send(message: Message): void {
    if (this.#path === '') return;
    const text = Object.entries(message)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
    // systemd listens only to the process that it started.
    if (enteredTarget() === undefined) notify(text);
    else if (process.connected) process.send?.({ notify: text } satisfies OuterNotice);
  }
}

/** Sends a message as it is. */
export function notify(text: string): void {
  const { NOTIFY_SOCKET: path = '' } = process.env;
  try {
    const fd = connect(path);
    try {
      send(fd, Buffer.from(text));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    remark(`Cannot notify systemd at ${path}: ${(error as Error).message}`);
  }
}

/** A name that begins with @ is in the abstract namespace. */
function connect(path: string): number {
  if (path.startsWith('@')) return connectUnix('dgram', -1, `\0${path.slice(1)}`);
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return connectUnix('dgram', folder, basename(path));
  } finally {
    closeSync(folder);
  }
}

/** WatchdogSec=; undefined without one. */
function watchdogIntervalMs(): number | undefined {
  const { WATCHDOG_USEC: micros = '', WATCHDOG_PID: pid } = process.env;
  if (!/^[1-9]\d*$/.test(micros) || (pid !== undefined && !isForUs(pid))) return undefined;
  return Number(micros) / 1_000;
}
