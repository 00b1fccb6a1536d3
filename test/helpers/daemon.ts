// daemon.ts: a real server with a configuration of its own, in a container or beside it.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Container } from './container.js';
import { within } from './wait.js';

/** A server that runs in the foreground. */
export class Daemon {
  readonly #folder = mkdtempSync(join(tmpdir(), 'spliceport-daemon-'));
  readonly #process: ChildProcess;
  #output = '';

  /**
   * Starts it.
   * @param command - FILE stands for the file with the configuration, and FOLDER, in both, for a
   * folder of its own.
   */
  constructor(command: readonly string[], configuration: string, container?: Container) {
    const file = join(this.#folder, 'configuration');
    writeFileSync(file, `${configuration.replaceAll('FOLDER', this.#folder)}\n`);
    const words = command.map((word) =>
      word.replace('FILE', file).replaceAll('FOLDER', this.#folder),
    );
    if (container !== undefined) {
      words.unshift('nsenter', `--net=/proc/${container.pid}/ns/net`, '--');
    }
    const [program = '', ...args] = words;
    this.#process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    }
  }

  /** What it has printed. */
  get output(): string {
    return this.#output;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await within(ended, `the end of ${this.#process.spawnfile}`);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A port of 127.0.0.1 that nobody has, for a server that cannot ask the kernel itself. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
