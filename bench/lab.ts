// lab.ts: the isolated namespaces that everything is measured in. run.mjs starts the benchmark in
// network, mount and process namespaces of its own: this network namespace plays the host. All of
// it, containers and programs included, is gone when the benchmark ends, however it ends.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './process.js';

const HOST_SYSCTLS = {
  // Short connections use up ports faster than TIME_WAIT frees them.
  '/proc/sys/net/ipv4/ip_local_port_range': '10240 65000',
  '/proc/sys/net/ipv4/tcp_tw_reuse': '1',
};

/** The addresses of the veth pair between host and container. */
const VETH = { host: '10.88.0.1', container: '10.88.0.2' };

/** The bridge, and where dockerd would name the container's namespace. */
const BRIDGE = {
  name: 'dock',
  veth: 'dock0',
  host: '10.89.0.1',
  container: '10.89.0.2',
  sandbox: '/run/docker/netns/0123456789ab',
};

/** A network namespace with its own loopback. */
export class Container {
  readonly netns: string;

  constructor(readonly name: string) {
    run('ip', 'netns', 'add', name);
    this.netns = `/run/netns/${name}`;
    this.ip('link', 'set', 'lo', 'up');
    tune(this.inside());
  }

  /** The prefix that makes a command run in here. */
  inside(): readonly [string, ...string[]] {
    return ['nsenter', `--net=${this.netns}`];
  }

  ip(...words: string[]): void {
    run('ip', '-n', this.name, ...words);
  }

  remove(): void {
    run('ip', 'netns', 'del', this.name);
  }
}

function tune(inside: readonly string[]): void {
  for (const [path, value] of Object.entries(HOST_SYSCTLS)) {
    run(...(inside as [string, ...string[]]), 'sh', '-c', `echo "$1" > "$2"`, 'sh', value, path);
  }
}

/** Provides what a measurement needs. */
export class Lab {
  /** For sockets, configurations and counters; in memory. */
  readonly directory: string;
  readonly loadProgram: string;
  readonly delayLinkProgram: string;
  /** The container of the current measurement. */
  container: Container;
  #serial = 0;
  #hasUplink = false;

  private constructor(programs: string) {
    this.loadProgram = join(programs, 'load');
    this.delayLinkProgram = join(programs, 'delay-link');
    this.directory = '/run/spliceport-bench';
    mkdirSync(this.directory);
    this.container = new Container('container-0');
    this.#renewUser();
  }

  /** Prepares the host side; `programs` is the folder of the native programs. */
  static open(programs: string): Lab {
    // iproute2's files and the programs' go there: a fresh one is writable for an ordinary user
    // too, and nothing stays.
    run('mount', '-t', 'tmpfs', 'none', '/run');
    mkdirSync('/run/netns');
    run('ip', 'link', 'set', 'lo', 'up');
    tune(['env']);
    return new Lab(programs);
  }

  /** iproute2 on the host side. */
  ip(...words: string[]): void {
    run('ip', ...words);
  }

  /** Adds an address to the host, without a network. */
  addHostAddress(address: string): void {
    run('ip', 'addr', 'replace', `${address}/32`, 'dev', 'lo');
  }

  /** Makes every address of a network the host's own. */
  addHostNetwork(network: string): void {
    run('ip', 'route', 'replace', 'local', network, 'dev', 'lo');
  }

  /** Replaces the container with a new one. */
  renewContainer(): void {
    this.container.remove();
    this.container = new Container(`container-${++this.#serial}`);
    this.#renewUser();
  }

  /** The folders of a user who has no files yet, as variables for a program's environment. */
  userFolders(): Record<string, string> {
    const place = this.path(`user-${this.#serial}`);
    return { XDG_RUNTIME_DIR: join(place, 'runtime'), XDG_CONFIG_HOME: join(place, 'config') };
  }

  #renewUser(): void {
    for (const folder of Object.values(this.userFolders())) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
  }

  /** Connects host and container by a veth pair; the address of the container's end. */
  addVeth(): string {
    const { name } = this.container;
    run('ip', 'link', 'add', 'veth-host', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    run('ip', 'addr', 'add', `${VETH.host}/24`, 'dev', 'veth-host');
    run('ip', 'link', 'set', 'veth-host', 'up');
    this.container.ip('addr', 'add', `${VETH.container}/24`, 'dev', 'eth0');
    this.container.ip('link', 'set', 'eth0', 'up');
    return VETH.container;
  }

  /**
   * Connects host and container as dockerd does: by a bridge, and with a name for the namespace.
   */
  addBridge(): string {
    this.#removeBridge();
    const { name, netns } = this.container;
    run('ip', 'link', 'add', BRIDGE.name, 'type', 'bridge');
    run('ip', 'addr', 'add', `${BRIDGE.host}/24`, 'dev', BRIDGE.name);
    run('ip', 'link', 'set', BRIDGE.name, 'up');
    run('ip', 'link', 'add', BRIDGE.veth, 'type', 'veth', 'peer', 'name', 'eth1', 'netns', name);
    run('ip', 'link', 'set', BRIDGE.veth, 'master', BRIDGE.name, 'up');
    this.container.ip('addr', 'add', `${BRIDGE.container}/24`, 'dev', 'eth1');
    this.container.ip('link', 'set', 'eth1', 'up');
    mkdirSync(dirname(BRIDGE.sandbox), { recursive: true });
    writeFileSync(BRIDGE.sandbox, '');
    run('mount', '--bind', netns, BRIDGE.sandbox);
    return BRIDGE.container;
  }

  /** The name of its namespace keeps a container of before. */
  #removeBridge(): void {
    if (existsSync(BRIDGE.sandbox)) {
      run('umount', BRIDGE.sandbox);
      rmSync(BRIDGE.sandbox);
    }
    for (const name of [BRIDGE.veth, BRIDGE.name]) {
      // The kernel may have removed it, with the namespace.
      run('sh', '-c', `ip link del ${name} 2> /dev/null || true`);
    }
  }

  /**
   * Gives the host a route to elsewhere, which some programs copy into the container or refuse to
   * start without.
   */
  ensureUplink(): void {
    if (this.#hasUplink) return;
    this.#hasUplink = true;
    run('ip', 'netns', 'add', 'elsewhere');
    run(
      'ip',
      'link',
      'add',
      'uplink',
      'type',
      'veth',
      'peer',
      'name',
      'uplink',
      'netns',
      'elsewhere',
    );
    run('ip', 'addr', 'add', '192.0.2.2/24', 'dev', 'uplink');
    run('ip', 'link', 'set', 'uplink', 'up');
    // Without a carrier the route is marked as down, and pasta of 2025 fails to copy that mark.
    run('ip', '-n', 'elsewhere', 'link', 'set', 'uplink', 'up');
    run('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
  }

  /** A path for a file of the given name. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file for a program to read; its path. */
  file(name: string, text: string): string {
    const path = this.path(name);
    writeFileSync(path, text);
    return path;
  }
}
