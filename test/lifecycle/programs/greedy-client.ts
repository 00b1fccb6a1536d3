// greedy-client.ts: a client that takes what it can get, at a rate that leaves the processors to
// others: what it costs them is then the forwarder's doing.

import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { serve } from '../../helpers/rpc.js';

/** From here, so that it is a client of its own. */
const ADDRESS = '127.0.0.66';
const TICK_MS = 10;
const PER_TICK = 3;
const HEADER = 'PROXY TCP4 203.0.113.7 192.0.2.80 1000 443\r\n';
const DRIBBLE_MS = 50;

/** What it does, over and over. */
export type Greed =
  /** Connects, and says nothing. */
  | 'silence'
  /** Connects to what sends much, and reads nothing. */
  | 'slow reading'
  /** Connects, and sends the header of a load balancer byte by byte. */
  | 'a dribbling header'
  /** Connects, and resets. */
  | 'short connections'
  /** Sends a datagram from a port of its own. */
  | 'UDP flows';

let ticker: NodeJS.Timeout | undefined;
let attempts = 0;
const open = new Set<{ close(): void }>();

function connection(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port, localAddress: ADDRESS });
  const entry = { close: () => socket.resetAndDestroy() };
  open.add(entry);
  // Being reset is what a greedy client has to expect.
  socket.on('error', () => undefined);
  socket.once('close', () => open.delete(entry));
  return socket;
}

function dribble(socket: Socket): void {
  let sent = 0;
  const timer = setInterval(() => {
    // Never to the end.
    if (sent < HEADER.length - 1) socket.write(HEADER.charAt(sent++));
  }, DRIBBLE_MS);
  socket.once('close', () => clearInterval(timer));
}

const acts: Readonly<Record<Greed, (port: number) => void>> = {
  silence: (port) => void connection(port).resume(),
  'slow reading': (port) => void connection(port),
  'a dribbling header': (port) => dribble(connection(port).resume()),
  'short connections': (port) => {
    const socket = connection(port).resume();
    socket.once('connect', () => socket.resetAndDestroy());
  },
  'UDP flows': (port) => {
    const socket = createSocket('udp4');
    open.add(socket);
    socket.bind(0, ADDRESS, () => socket.send('x', port, '127.0.0.1'));
  },
};

const handlers = {
  start({ greed, port }: { greed: Greed; port: number }): void {
    ticker = setInterval(() => {
      for (let i = 0; i < PER_TICK; i += 1) acts[greed](port);
      attempts += PER_TICK;
    }, TICK_MS);
  },
  /** Lets everything go; how often it has tried so far. */
  stop(): number {
    clearInterval(ticker);
    for (const each of open) each.close();
    open.clear();
    return attempts;
  },
};

/** What the program serves to the test. */
export type GreedyClientApi = typeof handlers;

serve(handlers);
