// docker-host.ts: a throw-away machine with dockerd whose userland proxy is this project's.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Program } from '../../helpers/program.js';
import { until, within } from '../../helpers/wait.js';
import { execute, type Output } from '../../podman/harness/execute.js';
import type { PeerHandlers } from './peer.js';

const script = fileURLToPath(new URL('daemon.sh', import.meta.url));
const ownPackage = fileURLToPath(new URL('../../..', import.meta.url));
const peer = new URL('peer.ts', import.meta.url);
const debianRoot = process.env['SPLICEPORT_DEBIAN_ROOT'];
const startMs = 30_000;

/** A program in a network namespace, and what it can be asked. */
export interface Peer {
  readonly program: Program;
  readonly ask: ReturnType<typeof Program.prototype.api<PeerHandlers>>;
}

/** A process of a docker-proxy, by its pid out here. */
export interface ProxyProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** The machine. Nothing of it outlives this process. */
export class DockerHost {
  readonly pid: number;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #peers: Peer[] = [];
  #names = 0;

  private constructor(child: ChildProcessWithoutNullStreams, pid: number) {
    this.#process = child;
    this.pid = pid;
  }

  /** Makes it, starts dockerd, and imports an image. */
  static async start(): Promise<DockerHost> {
    const namespaces = ['--mount', '--pid', '--net', '--uts', '--ipc', '--fork', '--kill-child'];
    const root = debianRoot === undefined ? [] : [debianRoot];
    const child = spawn(
      'unshare',
      [...namespaces, 'bash', script, ownPackage, process.execPath, ...root],
      {
        stdio: 'pipe',
      },
    );
    let errors = '';
    let ready = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ready += text));
    const ended = once(child, 'close').then(() => {
      throw new Error(`the machine did not start: ${errors}`);
    });
    const pid = await Promise.race([until(() => Number(ready), 'a machine', startMs), ended]);
    ended.catch(() => undefined); // From here on an end is what stop() asks for.
    const host = new DockerHost(child, pid);
    await host.startDaemon();
    await host.docker(['import', '/run/test/image.tar', 'test:1']);
    return host;
  }

  /** Starts dockerd, with another proxy if one is named, and waits until it answers. */
  async startDaemon(userlandProxy = ''): Promise<void> {
    this.#process.stdin.write(`start ${userlandProxy}\n`);
    await until(() => this.#answers(), 'an answer of dockerd', startMs).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.read('/run/test/dockerd.log')}`);
    });
  }

  /** Ends dockerd by a signal, and waits for its end. */
  async endDaemon(signal: 'TERM' | 'KILL'): Promise<void> {
    const pid = Number(this.read('/run/d.pid'));
    this.#process.stdin.write(`${signal}\n`);
    const isGone = async () => {
      const { code } = await this.execute(['sh', '-c', `grep -q dockerd /proc/${pid}/comm`]);
      return code !== 0;
    };
    await until(isGone, 'the end of dockerd', startMs);
    await this.execute(['rm', '-f', '/run/d.pid', '/run/d.sock']);
  }

  /** Runs docker; what it prints. */
  async docker(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tryDocker(args);
    if (code !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  tryDocker(args: readonly string[]): Promise<Output> {
    return this.execute(['docker', '-H', 'unix:///run/d.sock', ...args]);
  }

  /** Runs spliceport; what it prints. */
  async spliceport(args: readonly string[]): Promise<string> {
    const folders = ['SPLICEPORT_CONTROL_DIR=/run/test/control', 'XDG_RUNTIME_DIR=/run/test'];
    const program = ['/run/test/node', '/run/test/package/lib/cli/main.js'];
    const { code, stdout, stderr } = await this.execute(['env', ...folders, ...program, ...args]);
    if (code !== 0) throw new Error(`spliceport ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** What the settings file says for ports that are published from now on; nothing: no file. */
  settings(file?: object): void {
    const text = file === undefined ? '' : JSON.stringify(file);
    writeFileSync(`/proc/${this.pid}/root/run/test/settings.json`, text);
  }

  /** Removes every container, whether it runs or not. */
  async removeContainers(): Promise<void> {
    const all = await this.docker(['ps', '-aq']);
    if (all !== '') await this.docker(['rm', '-f', ...all.split('\n')]);
  }

  /** A container with these options of `docker run`; its name. */
  async run(options: readonly string[]): Promise<string> {
    const name = `test${(this.#names += 1)}`;
    const image = ['test:1', '/bin/busybox', 'sleep', '600'];
    await this.docker(['run', '-d', '--name', name, '--stop-timeout', '0', ...options, ...image]);
    return name;
  }

  /** A program in a container's network namespace. */
  async inside(container: string): Promise<Peer> {
    const pid = await this.docker(['inspect', '-f', '{{.State.Pid}}', container]);
    return this.#start(`/proc/${this.pid}/root/proc/${pid}/ns/net`);
  }

  /** A program in the network namespace of dockerd. */
  outside(): Peer {
    return this.#start(`/proc/${this.pid}/ns/net`);
  }

  /** Every docker-proxy that runs. */
  proxies(): ProxyProcess[] {
    const namespace = readlinkSync(`/proc/${this.pid}/ns/pid`);
    return readdirSync('/proc').flatMap((entry) => {
      try {
        if (!/^\d+$/.test(entry) || readlinkSync(`/proc/${entry}/ns/pid`) !== namespace) return [];
        const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
        if (!words.includes('-container-ip')) return [];
        return [{ pid: Number(entry), commandLine: words.join(' ').trim() }];
      } catch {
        return []; // It has ended in between.
      }
    });
  }

  /** What listens or is bound in dockerd's namespace, of these ports. */
  async bound(port: number): Promise<string> {
    const { stdout } = await this.execute(['ss', '-Hntuln', `sport = :${port}`]);
    return stdout;
  }

  /** A file of the machine. */
  read(file: string): string {
    return readFileSync(`/proc/${this.pid}/root${file}`, 'utf8');
  }

  /** Runs a command in the machine. */
  execute(command: readonly string[]): Promise<Output> {
    const enter = ['--target', `${this.pid}`, '--mount', '--pid', '--net', '--uts', '--ipc', '--'];
    return execute('nsenter', [...enter, ...command]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#peers.map(({ program }) => program.stop()));
    const closed = once(this.#process, 'close');
    this.#process.stdin.end();
    await within(closed, 'the end of a machine', startMs);
  }

  async #answers(): Promise<boolean> {
    return (await this.tryDocker(['version'])).code === 0;
  }

  #start(netns: string): Peer {
    const program = new Program(peer, { netnsOf: netns });
    const started = { program, ask: program.api<PeerHandlers>() };
    this.#peers.push(started);
    return started;
  }
}
