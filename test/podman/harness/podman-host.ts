// podman-host.ts: a machine with podman and an image, and what tests ask of it.

import { cpSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Protocol } from '../../../src/types/endpoints.js';
import { bundle } from '../../helpers/program.js';
import { until, within } from '../../helpers/wait.js';
import type { Output } from './execute.js';
import { helperFolder, installHelper, isHelper } from './helper.js';
import { HostSockets, type Where } from './host-sockets.js';
import { Machine, type MachineProcess, type RunOptions } from './machine.js';

const containerServer = new URL('container-server.ts', import.meta.url);

/** The image of every container: busybox, and `/www/hello.txt` for its httpd. */
export const image = 'busy:1';
/** What `/www/hello.txt` holds. */
export const hello = 'hello from the container\n';
/** Arguments of `podman run` that start busybox's httpd on port 80. */
export const httpd = [image, 'httpd', '-f', '-p', '80', '-h', '/www'] as const;

/** Arguments of `podman run` that put node and container-server.ts into a container. */
export const serverVolumes: readonly string[] = [
  '/usr:/usr:ro',
  '/run/test/node:/node:ro',
  '/run/test/server.mjs:/server.mjs:ro',
].flatMap((volume) => ['-v', volume]);

/** Arguments of `podman run` that start container-server.ts with these services. */
export const server = (...services: readonly string[]): string[] => [
  ...serverVolumes,
  image,
  '/node',
  '/server.mjs',
  ...services,
];

/** Everything up to the end of the stream, as text. */
export async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  const reading = (async () => {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  })();
  await within(reading, 'the end of an answer');
  return Buffer.concat(chunks).toString();
}

/** A machine on which a user runs podman, with the helper under test. */
export class PodmanHost {
  readonly machine: Machine;
  readonly sockets: HostSockets;

  private constructor(machine: Machine) {
    this.machine = machine;
    this.sockets = new HostSockets(machine.pid);
  }

  static async start(): Promise<PodmanHost> {
    const machine = await Machine.start();
    const host = new PodmanHost(machine);
    try {
      await installHelper(machine);
      cpSync(bundle(containerServer), machine.outside('/run/test/server.mjs'));
      await host.podman('import', '/run/test/image.tar', image);
      return host;
    } catch (error) {
      await host.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.sockets.close();
    await this.machine.stop();
  }

  /** Runs podman as the user; what it printed, without the last newline. Fails when podman does. */
  podman(...args: readonly string[]): Promise<string> {
    return this.#succeed(args, {});
  }

  /** {@link PodmanHost.podman} with text on its standard input. */
  podmanReads(input: string, ...args: readonly string[]): Promise<string> {
    return this.#succeed(args, { input });
  }

  /**
   * Runs podman as the user, whatever comes of it.
   * @param maxOpenFiles - The limit of podman and of all that it starts. Default: the user's.
   */
  tryPodman(
    args: readonly string[],
    { maxOpenFiles, ...options }: RunOptions & { readonly maxOpenFiles?: number } = {},
  ): Promise<Output> {
    const env = { CONTAINERS_HELPER_BINARY_DIR: helperFolder, ...options.env };
    const limit = maxOpenFiles === undefined ? [] : ['prlimit', `--nofile=${maxOpenFiles}`];
    return this.machine.asUser([...limit, 'podman', ...args], { ...options, env });
  }

  /** `podman run -d`; waits for the servers of container-server.ts. The id of the container. */
  async run(...args: readonly string[]): Promise<string> {
    const id = await this.podman('run', '-d', ...args);
    if (args.includes('/server.mjs')) await this.untilServing(id);
    return id;
  }

  /** Waits for the servers of container-server.ts in a container. */
  async untilServing(container: string): Promise<void> {
    let logs: Output | undefined;
    try {
      await until(
        async () => {
          logs = await this.tryPodman(['logs', container]);
          return logs.stdout.includes('serving');
        },
        'the servers run',
        10_000,
      );
    } catch (error) {
      throw new Error(`no servers in ${container}: ${logs?.stderr ?? ''}`, { cause: error });
    }
  }

  /** Removes every container and pod, by force. */
  async clear(): Promise<void> {
    await this.podman('pod', 'rm', '-f', '-a', '-t', '0');
    await this.podman('rm', '-f', '-a', '-t', '0');
    await this.podman('network', 'prune', '-f');
    await until(() => this.helpers().length === 0, 'no helper is left');
  }

  /** What podman and its helpers keep in the user's runtime folder, one name a line. */
  async stateFolder(): Promise<string> {
    const { stdout } = await this.machine.asUser([
      'sh',
      '-c',
      'cd "$XDG_RUNTIME_DIR/libpod/tmp" && ls . rp',
    ]);
    return stdout;
  }

  /** The processes of the helper under test. */
  helpers(): MachineProcess[] {
    return this.machine.processes().filter(isHelper);
  }

  /** The process that has a port of the host. */
  ownerOf(port: number, protocol: Protocol = 'tcp'): MachineProcess | undefined {
    const inodes = this.#socketInodes(port, protocol);
    return this.machine.processes().find(({ pid }) => {
      try {
        return readdirSync(`/proc/${pid}/fd`).some((fd) => {
          const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
          return inode !== undefined && inodes.includes(inode);
        });
      } catch {
        return false; // It has ended in between, or closed a descriptor.
      }
    });
  }

  /** Whether the helper under test has the port. */
  isForwarded(port: number, protocol: Protocol = 'tcp'): boolean {
    const owner = this.ownerOf(port, protocol);
    return owner !== undefined && isHelper(owner);
  }

  /** Fetches a file from an HTTP server on the host. */
  async fetch(where: Where, file = '/hello.txt'): Promise<string> {
    const socket = await this.sockets.connect(where);
    socket.end(`GET ${file} HTTP/1.0\r\n\r\n`);
    const answer = await textOf(socket);
    return answer.slice(answer.indexOf('\r\n\r\n') + 4);
  }

  /** {@link PodmanHost.fetch}, once the server is up. */
  fetchSoon(where: Where, file = '/hello.txt'): Promise<string> {
    return until(
      () => this.fetch(where, file).catch(() => ''),
      `${file} from port ${where.port}`,
      10_000,
    );
  }

  /** The client address that a `whoami` server of the container sees. */
  async seenAddress(where: Where): Promise<string> {
    return textOf(await this.sockets.connect(where));
  }

  async #succeed(args: readonly string[], options: RunOptions): Promise<string> {
    const { code, stdout, stderr } = await this.tryPodman(args, options);
    if (code !== 0) throw new Error(`podman ${args.join(' ')}: exit code ${code}\n${stderr}`);
    return stdout.trimEnd();
  }

  #socketInodes(port: number, protocol: Protocol): string[] {
    const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    return [protocol, `${protocol}6`].flatMap((table) =>
      readFileSync(`/proc/${this.machine.pid}/net/${table}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(
          ([, address = '', remote = '']) => address.endsWith(local) && remote.endsWith(':0000'),
        )
        .map((fields) => fields[9] ?? ''),
    );
  }
}
