// run.ts: runs libexec/rootlessport as Podman does.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { within } from '../../helpers/wait.js';
import { makePipe, textOf } from './pipes.js';

/**
 * Which process has the ports of a container and decides for it: a shim, which leaves the decisions
 * to a resident, or one process of its own.
 */
export const isShim = process.env['SPLICEPORT_TEST_PROCESS'] !== 'own';

const inLibexec = (path: string) =>
  fileURLToPath(new URL(`../../../libexec/${path}`, import.meta.url));

/** The shim, whatever is under test. */
export const shimExecutable = inLibexec('rootlessport');
/** The executable under test. */
export const executable = isShim ? shimExecutable : inLibexec('own-process/rootlessport');

/** Of this file's helpers alone, so that its resident leaves when it is removed. */
export const runtimeFolder = realpathSync(mkdtempSync(join(tmpdir(), 'spliceport-runtime-')));
afterAll(() => rmSync(runtimeFolder, { recursive: true, force: true }));

/**
 * Control sockets are no matter of the contract: in a folder that cannot be made, there is none.
 * Nor are settings.
 */
const noExtras = {
  SPLICEPORT_CONTROL_DIR: '/dev/null/control',
  SPLICEPORT_CONFIG: '/dev/null',
};

/** A mapping as Podman 4 and later write it. */
export interface PodmanMapping {
  readonly host_ip?: string;
  readonly host_port?: number;
  readonly container_port?: number;
  readonly range?: number;
  readonly protocol?: string;
}

/** A mapping of one TCP port on all addresses, as Podman writes it. */
export function podmanMapping(overrides: PodmanMapping): PodmanMapping {
  return { host_ip: '', container_port: 80, range: 1, protocol: 'tcp', ...overrides };
}

/** How to run the helper. */
export interface RunOptions {
  /** Default: libexec/rootlessport. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What is passed as standard input; default: a pipe with the input. */
  readonly stdin?: number;
  /**
   * What is passed as descriptor 5: node's spawn makes standard input block, so a shell must put it
   * there.
   */
  readonly fd5?: number;
  /** Whether standard input stays open after the input. */
  readonly holdStdin?: boolean;
  /** What is passed as descriptor 3; default: a pipe that the test holds open. */
  readonly exitFd?: number;
  /** What is passed as descriptor 4; default: a pipe that the test reads. */
  readonly readyFd?: number;
}

/** How a run ended, with all that it printed. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of the helper. */
export class Run {
  readonly pid: number;
  /** Settles when the process has ended and its output is at its end. */
  readonly outcome: Promise<Outcome>;
  /** What it writes to the descriptor for readiness, up to its end. */
  readonly readiness: Promise<string>;
  readonly #process: ChildProcess;
  readonly #output = { stdout: '', stderr: '' };
  #exitEnd: number | undefined;

  constructor(input: string | Buffer | object, options: RunOptions = {}) {
    const [command = '', ...prefixed] = options.command ?? [executable];
    const exit = options.exitFd === undefined ? makePipe() : undefined;
    const ready = options.readyFd === undefined ? makePipe() : undefined;
    const child = spawn(command, [...prefixed, ...(options.args ?? [])], {
      argv0: command === executable ? 'rootlessport' : command,
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: environmentOf(options),
      detached: true,
      stdio: [
        options.stdin ?? 'pipe',
        'pipe',
        'pipe',
        exit?.readEnd ?? options.exitFd,
        ready?.writeEnd ?? options.readyFd,
        ...(options.fd5 === undefined ? [] : [options.fd5]),
      ],
    });
    if (child.pid === undefined) throw new Error(`cannot run ${command}`);
    this.pid = child.pid;
    this.#process = child;
    if (exit !== undefined) closeSync(exit.readEnd);
    this.#exitEnd = exit?.writeEnd;
    if (ready !== undefined) closeSync(ready.writeEnd);
    this.readiness = ready === undefined ? Promise.resolve('') : textOf(ready.readEnd);
    this.#collect('stdout');
    this.#collect('stderr');
    this.outcome = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      ...this.#output,
    }));
    // A helper may refuse before it has read everything.
    child.stdin?.on('error', () => undefined);
    child.stdin?.write(textOfInput(input));
    if (options.holdStdin !== true) child.stdin?.end();
  }

  #collect(name: 'stdout' | 'stderr'): void {
    this.#process[name]?.setEncoding('utf8').on('data', (text: string) => {
      this.#output[name] += text;
    });
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#output.stdout;
  }

  /** Resolves when nothing holds its standard output and error any more. */
  async released(): Promise<void> {
    const { stdout, stderr } = this.#process;
    for (const stream of [stdout, stderr]) {
      if (stream?.readableEnded === false) await within(once(stream, 'end'), 'the end of output');
    }
  }

  /** Resolves when it has said that it is ready, and nothing else. */
  async ready(): Promise<this> {
    const said = await within(this.readiness, 'readiness');
    if (said !== '1') {
      const { stdout, stderr } = await within(
        this.outcome,
        'the end of a helper that is not ready',
      );
      throw new Error(`not ready: ${JSON.stringify({ said, stdout, stderr })}`);
    }
    return this;
  }

  /** Writes to the descriptor whose end ends the helper. */
  writeToExit(text: string): void {
    if (this.#exitEnd !== undefined) writeSync(this.#exitEnd, text);
  }

  /** Ends the helper as Podman does. */
  async letGo(): Promise<Outcome> {
    if (this.#exitEnd !== undefined) closeSync(this.#exitEnd);
    this.#exitEnd = undefined;
    return within(this.outcome, 'the end of the helper');
  }

  async kill(signal: NodeJS.Signals): Promise<Outcome> {
    this.#process.kill(signal);
    return within(this.outcome, `the end of the helper after ${signal}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.letGo();
  }
}

/** A test that says nothing of the runtime folder gets one where no other's resident is. */
function environmentOf({ env = process.env }: RunOptions): NodeJS.ProcessEnv {
  const says = env['XDG_RUNTIME_DIR'] !== process.env['XDG_RUNTIME_DIR'];
  return { ...noExtras, ...env, ...(isShim && !says && { XDG_RUNTIME_DIR: runtimeFolder }) };
}

function textOfInput(input: string | Buffer | object): string | Buffer {
  return typeof input === 'string' || Buffer.isBuffer(input) ? input : JSON.stringify(input);
}

/** A folder of the caller's for helpers, and the configurations that name it. */
export class Caller {
  readonly folder = mkdtempSync(join(tmpdir(), 'spliceport-contract-'));
  readonly #netnsPath: string;

  /** @param netnsPath - The container's. */
  constructor(netnsPath = '/proc/self/ns/net') {
    this.#netnsPath = netnsPath;
  }

  /** A configuration as Podman writes it. */
  config(
    mappings: readonly (object | null)[],
    changes: Readonly<Record<string, unknown>> = {},
  ): object {
    return {
      Mappings: mappings,
      NetNSPath: this.#netnsPath,
      ExitFD: 3,
      ReadyFD: 4,
      TmpDir: this.folder,
      ChildIP: '',
      ContainerID: 'c0ffee',
      RootlessCNI: false,
      ...changes,
    };
  }

  /**
   * What is in the folder, as paths; without control sockets, which are there where there is no
   * runtime folder.
   */
  files(): string[] {
    return readdirSync(this.folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => !/^spliceport(\/|$)/.test(path))
      .sort();
  }

  [Symbol.dispose](): void {
    if (existsSync(this.folder)) rmSync(this.folder, { recursive: true });
  }
}

/** A TCP port that is free now, on every address. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * The first of `count` consecutive TCP ports that are free now; below those that the kernel gives
 * to clients.
 */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * (20_000 - count));
    const servers = Array.from({ length: count }, () => createServer());
    const listening = await Promise.allSettled(
      servers.map((server, offset) => once(server.listen(first + offset), 'listening')),
    );
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    if (listening.every(({ status }) => status === 'fulfilled')) return first;
  }
}
