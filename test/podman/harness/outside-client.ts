// outside-client.ts: a client in a network namespace of its own, which is on a network with the
// machine's host.

import { execFileSync } from 'node:child_process';
import { Container } from '../../helpers/container.js';
import type { Machine } from './machine.js';

/** Where the client finds the machine's host. */
export const hostAddress = '198.51.100.1';
/** The client's own address. */
export const clientAddress = '198.51.100.2';

/** Starts the client; the caller stops it. */
export async function startOutsideClient(host: { readonly machine: Machine }): Promise<Container> {
  const client = await Container.start();
  const inHost = (line: string) =>
    execFileSync('nsenter', ['-t', `${host.machine.pid}`, '-n', 'ip', ...line.split(' ')]);
  inHost(`link add outside0 type veth peer name eth0 netns ${client.pid}`);
  inHost(`address add ${hostAddress}/24 dev outside0`);
  inHost('link set outside0 up');
  await client.run('ip', 'address', 'add', `${clientAddress}/24`, 'dev', 'eth0');
  await client.run('ip', 'link', 'set', 'eth0', 'up');
  return client;
}
