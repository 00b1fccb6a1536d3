// program.ts: runs one of the tests' own TypeScript programs as a process, and calls functions in
// it.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import type { Handlers, Request, Response } from './rpc.js';
import { within } from './wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = path.join(root, 'node_modules', '.cache', 'spliceport-tests');

/** How a process ended, as in the `exit` event of node:child_process. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How to start a program. */
export interface ProgramOptions {
  /** Its arguments. */
  readonly args?: readonly string[];
  /** Arguments of node. */
  readonly nodeArgs?: readonly string[];
  /** A network namespace of its own. Default: false. */
  readonly ownNetns?: boolean;
  /** The network namespace of another process, or its path. */
  readonly netnsOf?: number | string;
  /** Capabilities that it does without, as setpriv(1) takes them. */
  readonly without?: readonly string[];
  /** Runs as another user, who is root in a user namespace and a network namespace of his own. */
  readonly asOtherUser?: boolean;
  /** Limit on open files, soft and hard. */
  readonly maxOpenFiles?: number;
}

const bundles = new Map<string, string>();

/** What the sources say of their own place must hold for a bundle. */
function sourcePlace(file: string): Record<string, string> {
  return {
    'import.meta.url': JSON.stringify(pathToFileURL(file).href),
    'import.meta.filename': JSON.stringify(file),
    'import.meta.dirname': JSON.stringify(path.dirname(file)),
  };
}

/** Compiles a program into one file that loads the addon as src/ does; its path. */
export function bundle(source: URL): string {
  const known = bundles.get(source.href);
  if (known !== undefined) return known;
  const file = path.join(cache, `${path.basename(source.pathname, '.ts')}.mjs`);
  const built = buildSync({
    entryPoints: [fileURLToPath(source)],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    define: sourcePlace(path.join(root, 'src/engine/bundle.js')),
  });
  // Test files run at the same time: a program is never seen half written.
  mkdirSync(cache, { recursive: true });
  writeFileSync(`${file}.${process.pid}`, built.outputFiles[0]?.contents ?? '');
  renameSync(`${file}.${process.pid}`, file);
  bundles.set(source.href, file);
  return file;
}

function commandLine(source: URL, options: ProgramOptions): string[] {
  const line = [process.execPath, ...(options.nodeArgs ?? []), bundle(source)];
  line.push(...(options.args ?? []));
  if (options.without !== undefined) {
    line.unshift('setpriv', `--bounding-set=${options.without.map((one) => `-${one}`).join(',')}`);
  }
  if (options.ownNetns === true) line.unshift('unshare', '--net');
  if (options.netnsOf !== undefined) {
    const { netnsOf } = options;
    const netns = typeof netnsOf === 'string' ? netnsOf : `/proc/${netnsOf}/ns/net`;
    line.unshift('nsenter', `--net=${netns}`);
  }
  if (options.asOtherUser === true) {
    const become = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups'];
    line.unshift(...become, 'unshare', '--user', '--map-root-user', '--net');
  }
  if (options.maxOpenFiles === undefined) return line;
  return ['sh', '-c', `ulimit -n ${options.maxOpenFiles} && exec "$@"`, 'sh', ...line];
}

/** A running program. */
export class Program {
  readonly pid: number;
  /** Settles when the process has ended and its output is complete. */
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  readonly #calls = new Map<number, (response: Response) => void>();
  #stderr = '';
  #lastId = 0;

  /**
   * Starts it; callable once it has called {@link serve}, which {@link Program.call} waits for by
   * itself.
   */
  constructor(source: URL, options: ProgramOptions = {}) {
    const [command = '', ...args] = commandLine(source, options);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    if (child.pid === undefined) throw new Error(`cannot run ${command}`);
    this.pid = child.pid;
    this.#process = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    child.stdout?.resume();
    child.on('message', (response: Response) => {
      this.#calls.get(response.id)?.(response);
    });
    // Not 'close': a child whose channel was closed from this side never emits it.
    const outputs = [child.stdout, child.stderr].map((stream) => stream && once(stream, 'close'));
    this.exited = Promise.all([once(child, 'exit'), ...outputs]).then(([[code, signal]]) => {
      for (const [id, settle] of this.#calls) settle({ id, error: this.#lastWords(code, signal) });
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  #lastWords(code: unknown, signal: unknown): string {
    return `the program ended (code ${String(code)}, signal ${String(signal)})\n${this.#stderr}`;
  }

  /** What it has written to stderr. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Calls a function that the program serves. */
  async call(method: string, params: unknown, withinMs = 20_000): Promise<unknown> {
    this.#lastId += 1;
    const request: Request = { id: this.#lastId, method, params };
    const answered = new Promise<Response>((resolve) => this.#calls.set(request.id, resolve));
    if (this.#process.connected) this.#process.send(request);
    const response = await within(
      Promise.race([answered, this.exited.then(() => ({ error: this.#lastWords('?', '?') }))]),
      `${method} of ${this.#process.spawnfile}`,
      withinMs,
    );
    this.#calls.delete(request.id);
    if ('error' in response) throw new Error(`${method}: ${response.error}`);
    return response.result;
  }

  /** {@link Program.call} for every function of a program, with its types. */
  api<H extends Handlers>(): { [K in keyof H]: Remote<H[K]> } {
    return new Proxy({} as { [K in keyof H]: Remote<H[K]> }, {
      get: (_, method) => (params: unknown) => this.call(String(method), params),
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Lets it end by closing its channel, by force if it takes long. */
  async stop(): Promise<Exit> {
    if (this.#process.connected) this.#process.disconnect();
    const force = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    try {
      return await within(this.exited, `the end of process ${this.pid}`);
    } finally {
      clearTimeout(force);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- infers from every function
type Remote<F extends (...args: any) => unknown> = (
  ...args: Parameters<F>
) => Promise<Awaited<ReturnType<F>>>;
