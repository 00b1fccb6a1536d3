// servers-program.ts: the container's servers in a soak: they echo, and remember nothing, so that
// they can for hours.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { binding } from '../../src/engine/binding.js';
import { serve } from '../helpers/rpc.js';
import type { Ports } from './load.js';

binding.setInterfaceUp('lo');
binding.raiseFileLimit();

async function echoDatagrams(address: string, port: number): Promise<number> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  socket.on('message', (data, from) => socket.send(data, from.port, from.address));
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket.address().port;
}

const handlers = {
  /** Starts echo servers of both protocols, UDP's on the given addresses; their ports. */
  async start({ addresses }: { addresses: readonly string[] }): Promise<Ports> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    server.listen({ host: '0.0.0.0', port: 0, backlog: 4096 });
    await once(server, 'listening');
    // A socket for each address: one for all would answer from another address than it was asked
    // at.
    const [first = '', ...others] = addresses;
    const udp = await echoDatagrams(first, 0);
    for (const address of others) await echoDatagrams(address, udp);
    return { tcp: (server.address() as AddressInfo).port, udp };
  },
};

/** What the program serves to the test. */
export type ServersApi = typeof handlers;

serve(handlers);
