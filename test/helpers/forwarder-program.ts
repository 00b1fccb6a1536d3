// forwarder-program.ts: a forwarder in a process of its own, whose descriptors and memory are the
// forwarder's alone.

import { execFileSync } from 'node:child_process';
import { binding } from '../../src/engine/binding.js';
import {
  Forwarder,
  type CloseOptions,
  type Forward,
  type ForwarderOptions,
  type ForwardSpec,
  type Session,
  type Stats,
  type TargetChange,
} from '../../src/index.js';
import { describeFds, openFds, privateMemoryKiB } from './process-facts.js';
import { serve } from './rpc.js';
import { connectTcp, nextText, type Where } from './tcp-client.js';
import { UdpSocket } from './udp-socket.js';

let forwarder: Forwarder | undefined;

function current(): Forwarder {
  if (forwarder === undefined) throw new Error('create first');
  return forwarder;
}

const handlers = {
  create(options: ForwarderOptions): void {
    forwarder = new Forwarder(options);
  },
  add(spec: ForwardSpec): Promise<Forward> {
    return current().add(spec);
  },
  remove({ id, ...options }: CloseOptions & { id: number }): Promise<void> {
    return current().remove(id, options);
  },
  stats(): Stats {
    return current().stats();
  },
  list(): Forward[] {
    return current().list();
  },
  sessions(): Session[] {
    return current().sessions();
  },
  retarget({ id, ...change }: TargetChange & { id: number }): Promise<void> {
    return current().retarget(id, change);
  },
  close(options: CloseOptions): Promise<void> {
    return current().close(options);
  },
  facts(): { fds: number; fdNames: string[]; privateKiB: number; heapKiB: number } {
    globalThis.gc?.();
    const heapKiB = Math.round(process.memoryUsage().heapUsed / 1_024);
    return { fds: openFds(), fdNames: describeFds(), privateKiB: privateMemoryKiB(), heapKiB };
  },
  /** Runs a command, with the interface `lo` up, in a namespace that is the program's own. */
  run({ command }: { command: readonly string[] }): string {
    binding.setInterfaceUp('lo');
    const [file = '', ...args] = command;
    return execFileSync(file, args, { encoding: 'utf8' });
  },
  /** Connects from this side; what the server says first. */
  async askTcp(where: Where & { port: number }): Promise<string> {
    const socket = await connectTcp(where);
    const text = await nextText(socket);
    socket.destroy();
    return text;
  },
  /** Sends a datagram from this side and tells who answered. */
  async askUdp({ from, to, port }: { from: string; to: string; port: number }): Promise<string> {
    using socket = await UdpSocket.bind({ address: from });
    return (await socket.ask('who answers?', port, to)).address;
  },
};

/** What the program serves to the test. */
export type ForwarderApi = typeof handlers;

serve(handlers);
