// rootless-host.ts: a machine whose user runs rootless Docker, set up as `spliceport enable docker
// --rootless` says.

import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from '../helpers/program.js';
import { textOf } from '../podman/harness/podman-host.js';
import { installPackage } from '../helpers/installed-package.js';
import { until } from '../helpers/wait.js';
import type { Output } from '../podman/harness/execute.js';
import { HostSockets, type Where } from '../podman/harness/host-sockets.js';
import { Machine, type MachineProcess } from '../podman/harness/machine.js';

const installed = '/run/spliceport';
const home = '/home/spliceport-test';
const cli = ['/run/test/node', `${installed}/lib/cli/main.js`];
const containerServer = new URL('../podman/harness/container-server.ts', import.meta.url);
const child = fileURLToPath(new URL('../../libexec/rootlesskit-child', import.meta.url));
const image = 'busy:1';

/** How rootless Docker is started. */
export interface RootlessOptions {
  /** Whether RootlessKit's port driver is spliceport's. Default: true. */
  readonly enabled?: boolean;
  /** RootlessKit's network driver. */
  readonly net?: 'slirp4netns' | 'pasta';
  readonly dockerdFlags?: readonly string[];
  /** The settings file. */
  readonly settings?: object;
}

/** Rootless Docker, and its port driver, in a machine of its own. */
export class RootlessHost {
  readonly machine: Machine;
  readonly sockets: HostSockets;
  #uid = 0;

  private constructor(machine: Machine) {
    this.machine = machine;
    this.sockets = new HostSockets(machine.pid);
  }

  static async start(options: RootlessOptions = {}): Promise<RootlessHost> {
    const machine = await Machine.start();
    const host = new RootlessHost(machine);
    try {
      await host.#install(options);
      await host.#startDocker(options);
      return host;
    } catch (error) {
      const log = host.log();
      await host.stop();
      throw new Error(log, { cause: error });
    }
  }

  async stop(): Promise<void> {
    this.sockets.close();
    await this.machine.stop();
  }

  /** RootlessKit's state directory. */
  get stateFolder(): string {
    return `/run/user/${this.#uid}/dockerd-rootless`;
  }

  /** What the driver and Docker have printed. */
  log(): string {
    const read = (name: string): string => {
      const file = this.machine.outside(`${home}/${name}`);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    };
    return `${read('driver.log')}\n${read('docker.log').split('\n').slice(-40).join('\n')}`;
  }

  /** Runs docker as the user; what it printed. Fails when docker does. */
  async docker(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tryDocker(...args);
    if (code !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  /** Runs docker as the user, whatever comes of it. */
  tryDocker(...args: readonly string[]): Promise<Output> {
    return this.machine.asUser([
      'docker',
      '-H',
      `unix:///run/user/${this.#uid}/docker.sock`,
      ...args,
    ]);
  }

  /** Runs `spliceport` as the user. */
  spliceport(...args: readonly string[]): Promise<Output> {
    return this.machine.asUser([...cli, ...args]);
  }

  /** The driver's forwards. */
  async forwards(): Promise<readonly unknown[]> {
    const { stdout } = await this.spliceport('ls', '--json');
    const all = JSON.parse(stdout) as readonly { readonly forwards: readonly unknown[] }[];
    return all.flatMap(({ forwards }) => forwards);
  }

  /** A call of RootlessKit's API by the user; the answer. */
  async api(method: string, route: string, body?: object): Promise<unknown> {
    const program = `
      const [socketPath, method, path, body] = process.argv.slice(1);
      require('node:http').request({ socketPath, method, path }, (answer) => answer.pipe(process.stdout)).end(body || undefined);`;
    const args = [
      `${this.stateFolder}/api.sock`,
      method,
      route,
      body === undefined ? '' : JSON.stringify(body),
    ];
    const { stdout } = await this.machine.asUser(['/run/test/node', '-e', program, '--', ...args]);
    return stdout === '' ? undefined : (JSON.parse(stdout) as unknown);
  }

  /** What the server at a port sends at once. */
  async seen(where: Where): Promise<string> {
    return textOf(await this.sockets.connect(where));
  }

  /** Ends the driver as systemd does. */
  async stopDriver(): Promise<void> {
    const isDriver = ({ commandLine }: MachineProcess) =>
      commandLine.includes('rootlesskit') && commandLine.includes('--wait');
    const pids = this.machine
      .processes()
      .filter(isDriver)
      .map(({ pid }) => pid);
    process.kill(Math.min(...pids), 'SIGTERM');
    await until(() => !this.machine.processes().some(isDriver), 'the driver has exited');
  }

  /** Removes every container. */
  async clear(): Promise<void> {
    const ids = await this.docker('ps', '-aq');
    if (ids !== '') await this.docker('rm', '-f', ...ids.split('\n'));
  }

  /** Starts a container with the servers of container-server.ts, and waits for them. */
  async run(publish: readonly string[], ...services: readonly string[]): Promise<string> {
    const ports = publish.flatMap((each) => ['-p', each]);
    const volumes = ['/usr:/usr:ro', '/run/test:/test:ro'].flatMap((each) => ['-v', each]);
    const command = [image, '/test/node', '/test/server.mjs', ...services];
    const id = await this.docker('run', '-d', ...ports, ...volumes, ...command);
    const isServing = async () => (await this.tryDocker('logs', id)).stdout.includes('serving');
    await until(isServing, 'the servers run', 15_000);
    return id;
  }

  async #install({ settings }: RootlessOptions): Promise<void> {
    const { machine } = this;
    installPackage(machine.outside(installed));
    mkdirSync(machine.outside(`${installed}/libexec`));
    cpSync(child, machine.outside(`${installed}/libexec/rootlesskit-child`));
    cpSync(bundle(containerServer), machine.outside('/run/test/server.mjs'));
    const { stdout } = await machine.asUser(['id', '-u']);
    this.#uid = Number(stdout);
    if (settings !== undefined) {
      writeFileSync(machine.outside('/run/test/settings.json'), JSON.stringify(settings));
    }
    await machine.asRoot(['chmod', '-R', 'a+rX', installed, '/run/test']);
  }

  async #startDocker(options: RootlessOptions): Promise<void> {
    const { enabled = true, net = 'slirp4netns', dockerdFlags = [] } = options;
    const variables = enabled ? await this.#enable(options) : [];
    const flags = '--data-root ~/data --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs';
    const environment = [...variables, `DOCKERD_ROOTLESS_ROOTLESSKIT_NET=${net}`]
      .map((each) => `'${each}'`)
      .join(' ');
    const script = '/usr/share/docker.io/contrib/dockerd-rootless.sh';
    await this.#inBackground(
      `env ${environment} sh ${script} ${flags} ${dockerdFlags.join(' ')}`,
      'docker.log',
    );
    const isUp = async () => (await this.tryDocker('info')).code === 0;
    await until(isUp, 'rootless Docker runs', 20_000);
    await this.docker('import', '/run/test/image.tar', image);
  }

  /** Does what systemd does with the files that `spliceport enable` writes. */
  async #enable({ settings }: RootlessOptions): Promise<string[]> {
    const { code, stderr } = await this.spliceport('enable', 'docker', '--rootless');
    if (code !== 0) throw new Error(stderr);
    const read = (name: string): string => {
      const file = path.join(home, '.config/systemd/user', name);
      const text = readFileSync(this.machine.outside(file), 'utf8');
      return text.replaceAll('%t', `/run/user/${this.#uid}`);
    };
    const [, command = ''] = /^ExecStart=(.*)$/m.exec(read('spliceport-docker.service')) ?? [];
    const variable = settings === undefined ? '' : 'SPLICEPORT_CONFIG=/run/test/settings.json ';
    await this.#inBackground(`${variable}${command}`, 'driver.log');
    const dropIn = read('docker.service.d/spliceport.conf');
    return [...dropIn.matchAll(/^Environment="(.*)"$/gm)].map(([, each = '']) => each);
  }

  async #inBackground(line: string, log: string): Promise<void> {
    await this.machine.asUser(['sh', '-c', `${line} > ~/${log} 2>&1 < /dev/null &`]);
  }
}
