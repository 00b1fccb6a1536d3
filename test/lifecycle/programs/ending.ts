// ending.ts: a process that comes to an end in one of several ways, at one of several stages of a
// forwarder's life. Arguments: the stage, the way, the pid of a container and the ports of a TCP
// and a UDP echo server in it.

import { createSocket } from 'node:dgram';
import { createConnection } from 'node:net';
import { Forwarder } from '../../../src/index.js';
import { EXIT_CODE, type Stage, type Way } from '../stages.js';

const SESSIONS = 8;
const ENOUGH_BYTES = 4 << 20;
const BLOCK = Buffer.alloc(1 << 16, 'spliceport');

let pouring = true;

async function flood(port: number): Promise<void> {
  const socket = createConnection({ host: '127.0.0.1', port }).unref();
  socket.on('error', () => undefined);
  const pour = (): void => {
    while (pouring && socket.write(BLOCK));
  };
  socket.on('drain', pour);
  pour();
  await new Promise<void>((resolve) => {
    socket.on('data', () => {
      if (socket.bytesRead > ENOUGH_BYTES) resolve();
    });
  });
}

function floodUdp(port: number): void {
  const socket = createSocket('udp4').unref();
  for (let i = 0; i < 100; i += 1) socket.send(BLOCK.subarray(0, 1_400), port, '127.0.0.1');
}

async function reach(stage: Stage): Promise<void> {
  const [pid = 0, tcpPort = 0, udpPort = 0] = process.argv.slice(4).map(Number);
  const forwarder = new Forwarder({ netns: { pid } }).unref();
  if (stage === 'created') return;
  const here = { address: '127.0.0.1', port: 0 };
  const tcp = await forwarder.add({ host: here, container: { port: tcpPort } });
  const udp = await forwarder.add({ protocol: 'udp', host: here, container: { port: udpPort } });
  if (stage === 'forwarding') return;
  // What waits for the flood must keep the process up until it has seen enough.
  const awake = setInterval(() => undefined, 1_000);
  floodUdp(udp.host.port);
  await Promise.all(Array.from({ length: SESSIONS }, () => flood(tcp.host.port)));
  clearInterval(awake);
  if (stage === 'relaying') return;
  const closing = forwarder.close({ drainMs: stage === 'draining' ? 60_000 : 0 });
  if (stage === 'closed') await closing;
}

function end(way: Way): void {
  switch (way) {
    case 'exit':
      process.exit(EXIT_CODE);
      break;
    case 'natural end':
      // A write that is under way keeps a process up, whoever its socket belongs to.
      pouring = false;
      return;
    case 'exception':
      setImmediate(() => {
        throw new Error('on purpose');
      });
      return;
    case 'SIGTERM, handled':
      process.on('SIGTERM', () => process.exit(EXIT_CODE));
      process.kill(process.pid, 'SIGTERM');
      // Until the handler runs.
      setInterval(() => undefined, 1_000);
      return;
    case 'SIGTERM':
      process.kill(process.pid, 'SIGTERM');
  }
}

const [stage, way] = process.argv.slice(2) as [Stage, Way];
await reach(stage);
end(way);
