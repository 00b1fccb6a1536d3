// network.ts: a host between a bridge of containers and a network of clients, each a namespace of
// its own.
//
//   client 192.0.2.2, .3 ── lan0 192.0.2.1  host  10.88.0.1 bridge0 ─┬─ 10.88.0.2, .9 container
//          2001:db8::2                                    fd88::1    └─ 10.88.0.3     neighbor
//
// The host forwards packets in between as well, so that the container has a way to the clients
// without a forwarder.

import { Container } from './container.js';
import type { ForwarderApi } from './forwarder-program.js';
import { Program, type ProgramOptions } from './program.js';

const source = new URL('./forwarder-program.ts', import.meta.url);

/** The addresses. */
export const at = {
  client: '192.0.2.2',
  otherClient: '192.0.2.3',
  client6: '2001:db8::2',
  host: '192.0.2.1',
  host6: '2001:db8::1',
  gateway: '10.88.0.1',
  container: '10.88.0.2',
  container6: 'fd88::2',
  secondOfContainer: '10.88.0.9',
  neighbor: '10.88.0.3',
} as const;

/** The four namespaces. The first forwarder runs in the host's. */
export class Network {
  readonly host = new Program(source, { ownNetns: true });
  readonly forwarder = this.host.api<ForwarderApi>();
  readonly container: Container;
  readonly neighbor: Container;
  readonly client: Container;

  private constructor(containers: readonly [Container, Container, Container]) {
    [this.container, this.neighbor, this.client] = containers;
  }

  static async start(): Promise<Network> {
    const network = new Network([
      await Container.start(),
      await Container.start(),
      await Container.start(),
    ]);
    await network.#wire();
    await network.forwarder.create({ netns: network.container.netns, workers: 2 });
    return network;
  }

  /** The target of forwards. */
  get netnsPath(): string {
    return `/proc/${this.container.pid}/ns/net`;
  }

  /** Runs commands in a namespace, in order. */
  async ip(
    where: { run(...command: string[]): Promise<string> },
    ...lines: string[]
  ): Promise<void> {
    for (const line of lines) await where.run('ip', ...line.split(' '));
  }

  /** What forwarders have made in the container's namespace: rules, and routes of their tables. */
  async traces(): Promise<string[]> {
    const { container } = this;
    const lists = await Promise.all([
      container.run('ip', 'rule', 'list'),
      container.run('ip', '-6', 'rule', 'list'),
      container.run('ip', 'route', 'show', 'table', 'all', 'proto', '115'),
      container.run('ip', '-6', 'route', 'show', 'table', 'all', 'proto', '115'),
    ]);
    return lists.flatMap((list) => list.split('\n').filter((line) => line.includes('19367')));
  }

  /** Removes every forward of the first forwarder. */
  async removeAll(): Promise<void> {
    for (const { id } of await this.forwarder.list()) await this.forwarder.remove({ id });
  }

  /** A further process of forwarders in the host's namespace. */
  startForwarder(options: ProgramOptions = {}): Program {
    return new Program(source, { ...options, netnsOf: this.host.pid });
  }

  async stop(): Promise<void> {
    await Promise.all([
      this.host.stop(),
      this.container.stop(),
      this.neighbor.stop(),
      this.client.stop(),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #wire(): Promise<void> {
    const host = { run: (...command: string[]) => this.forwarder.run({ command }) };
    await this.ip(
      host,
      `link add lan0 type veth peer name eth0 netns ${this.client.pid}`,
      'link add bridge0 type bridge',
      `link add port0 type veth peer name eth0 netns ${this.container.pid}`,
      `link add port1 type veth peer name eth0 netns ${this.neighbor.pid}`,
      'link set port0 master bridge0',
      'link set port1 master bridge0',
      `address add ${at.host}/24 dev lan0`,
      `address add ${at.host6}/64 dev lan0 nodad`,
      `address add ${at.gateway}/24 dev bridge0`,
      'address add fd88::1/64 dev bridge0 nodad',
      ...['lan0', 'bridge0', 'port0', 'port1'].map((name) => `link set ${name} up`),
    );
    await host.run(
      'sh',
      '-c',
      'echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding',
    );
    await this.ip(
      this.container,
      `address add ${at.container}/24 dev eth0`,
      `address add ${at.container6}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add default via ${at.gateway}`,
      '-6 route add default via fd88::1',
    );
    await this.ip(
      this.neighbor,
      `address add ${at.neighbor}/24 dev eth0`,
      'link set eth0 up',
      `route add default via ${at.gateway}`,
    );
    await this.ip(
      this.client,
      `address add ${at.client}/24 dev eth0`,
      `address add ${at.otherClient}/24 dev eth0`,
      `address add ${at.client6}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add default via ${at.host}`,
      `-6 route add default via ${at.host6}`,
    );
    // Strict, as some distributions have it.
    await this.container.run(
      'sh',
      '-c',
      'for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $each; done',
    );
  }
}
