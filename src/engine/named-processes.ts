// named-processes.ts: the processes whose pids name the namespaces of forwards, and who is told
// when they exit.

import type { Forward } from '../types/forwards.js';
import { watchProcess, type ProcessWatch } from './process-exit.js';

interface Named {
  readonly forwards: Map<number, Forward>;
  watch: ProcessWatch | undefined;
}

/** Watches each process while forwards lead to its namespace. */
export class NamedProcesses {
  readonly #onExit: (forwards: readonly Forward[], pid: number) => void;
  readonly #byPath = new Map<string, Named>();

  constructor(onExit: (forwards: readonly Forward[], pid: number) => void) {
    this.#onExit = onExit;
  }

  add(forward: Forward): void {
    const { id, netnsPath } = forward;
    const pid = pidOf(netnsPath);
    if (pid === undefined) return;
    const known = this.#byPath.get(netnsPath);
    if (known === undefined) this.#watch(pid, forward);
    else known.forwards.set(id, forward);
  }

  remove({ id, netnsPath }: Forward): void {
    const named = this.#byPath.get(netnsPath);
    if (named === undefined || !named.forwards.delete(id) || named.forwards.size > 0) return;
    this.#byPath.delete(netnsPath);
    named.watch?.close();
  }

  #watch(pid: number, forward: Forward): void {
    const { id, netnsPath } = forward;
    const named: Named = { forwards: new Map([[id, forward]]), watch: undefined };
    const tell = (): void => {
      // Forwards that are added later may lead to another process with the same pid.
      if (this.#byPath.get(netnsPath) === named) this.#byPath.delete(netnsPath);
      this.#onExit([...named.forwards.values()], pid);
    };
    try {
      named.watch = watchProcess(pid, tell);
    } catch {
      // The forward works without: nobody is told.
      return;
    }
    this.#byPath.set(netnsPath, named);
    // It has exited since its namespace was opened. First it is told that the forward was added.
    if (named.watch === undefined) setImmediate(tell);
  }
}

/** The process that a path such as `/proc/123/ns/net` names. */
function pidOf(netnsPath: string): number | undefined {
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(netnsPath)?.[1];
  return pid === undefined ? undefined : Number(pid);
}
