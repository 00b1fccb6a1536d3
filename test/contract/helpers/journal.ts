// journal.ts: plays the journal: a datagram socket that keeps what it is sent.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import type { Tool } from '../../helpers/tools.js';
import { until } from '../../helpers/wait.js';

export const socat: Tool = { command: 'socat', package: 'socat' };

/** A datagram's fields, by name. */
export type Entry = ReadonlyMap<string, string>;

/** A journal of the test's own. */
export class FakeJournal {
  readonly path: string;
  readonly #process: ChildProcess;
  #bytes = Buffer.alloc(0);

  private constructor(path: string) {
    this.path = path;
    this.#process = spawn('socat', ['-u', '-b', '262144', `UNIX-RECV:${path}`, '-'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process.stdout?.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
  }

  /** Listens. */
  static async start(path: string): Promise<FakeJournal> {
    const journal = new FakeJournal(path);
    await until(() => existsSync(path), 'the journal');
    return journal;
  }

  /** Every entry so far. Each begins with its message. */
  get entries(): Entry[] {
    const entries: Map<string, string>[] = [];
    for (const [name, value] of fieldsOf(this.#bytes)) {
      if (name === 'MESSAGE') entries.push(new Map());
      entries.at(-1)?.set(name, value);
    }
    return entries;
  }

  /** The first entry of this event, once it is there. */
  async event(name: string): Promise<Entry> {
    const found = await until(
      () => this.entries.find((entry) => entry.get('SPLICEPORT_EVENT') === name),
      `the entry ${name}`,
    );
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await once(this.#process, 'close');
    rmSync(this.path, { force: true });
  }
}

/** Reads `name=value\n`, and `name\n<length, 8 bytes>value\n`. */
function* fieldsOf(bytes: Buffer): Generator<readonly [string, string]> {
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\n', at);
    if (end === -1) return;
    const line = bytes.subarray(at, end).toString();
    const [name = '', ...rest] = line.split('=');
    at = end + 1;
    if (rest.length > 0) {
      yield [name, rest.join('=')];
      continue;
    }
    const length = Number(bytes.readBigUInt64LE(at));
    yield [name, bytes.subarray(at + 8, at + 8 + length).toString()];
    at += 8 + length + 1;
  }
}
