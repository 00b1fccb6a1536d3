// kept-ports.ts: the ports of a RootlessKit, in a file in its state directory. Its clients ask for
// each port once, so a driver that is started again has to know them by itself.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ForwardSpec } from '../../index.js';
import { attempt } from '../running/processes.js';

/** A port, by the id that RootlessKit's client was given. */
export interface KeptPort {
  readonly id: number;
  /** As it was asked for, without settings. */
  readonly spec: ForwardSpec;
}

interface Content {
  /** Which RootlessKit: its child, by its pid and its start. */
  readonly of: string;
  readonly ports: readonly KeptPort[];
}

/** The file. */
export class KeptPorts {
  readonly #path: string;
  readonly #of: string;

  /**
   * @param folder - The state directory.
   * @param child - The process that RootlessKit has started in its namespaces.
   */
  constructor(folder: string, child: number) {
    this.#path = `${folder}/spliceport-ports.json`;
    this.#of = `${child} ${startOf(child)}`;
  }

  /** Those of this RootlessKit. */
  read(): readonly KeptPort[] {
    const content = attempt(() => JSON.parse(readFileSync(this.#path, 'utf8')) as Content);
    return content?.of === this.#of ? content.ports : [];
  }

  write(ports: readonly KeptPort[]): void {
    const content: Content = { of: this.#of, ports };
    // A driver that is killed leaves the old file or the new one.
    const partial = `${this.#path}.${process.pid}`;
    attempt(() => {
      writeFileSync(partial, JSON.stringify(content), { mode: 0o600 });
      renameSync(partial, this.#path);
    });
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

/** When a process was started, in ticks since the machine was; the text in it may have spaces. */
function startOf(pid: number): string | undefined {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? '';
  return text.slice(text.lastIndexOf(')')).split(' ')[20];
}
