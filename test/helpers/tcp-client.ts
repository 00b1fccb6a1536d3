// tcp-client.ts: clients on the host.

import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { within } from './wait.js';

/** Where a client connects. */
export interface Where {
  /** Default: `127.0.0.1`. */
  readonly address?: string;
  readonly port: number;
}

/** How a connection ended. */
export interface Ending {
  /** A FIN came first. */
  readonly ended: boolean;
  /** Code of the error, such as `ECONNRESET`. */
  readonly errorCode?: string;
}

/**
 * A connected socket that keeps its own half open when the other ends, and whose errors end it
 * quietly.
 */
export async function connectTcp({ address: host = '127.0.0.1', port }: Where): Promise<Socket> {
  const socket = createConnection({ host, port, allowHalfOpen: true, noDelay: true });
  await within(once(socket, 'connect'), `a connection to ${host} port ${port}`);
  socket.on('error', () => undefined);
  return socket;
}

/** How the connection ends, once it has; reads and drops what comes until then. */
export async function endingOf(socket: Socket, withinMs = 10_000): Promise<Ending> {
  const ending: { ended: boolean; errorCode?: string } = { ended: false };
  socket.once('end', () => {
    ending.ended = true;
    socket.end();
  });
  socket.once('error', (error: NodeJS.ErrnoException) => (ending.errorCode = error.code ?? ''));
  socket.resume();
  if (!socket.closed) {
    await within(
      new Promise((resolve) => socket.once('close', resolve)),
      'the end of a connection',
      withinMs,
    );
  }
  return ending;
}

/** The next bytes that arrive, as text. */
export async function nextText(socket: Socket): Promise<string> {
  const chunk = within(once(socket, 'data'), 'an answer') as Promise<[Buffer]>;
  socket.resume();
  const [data] = await chunk;
  socket.pause();
  return data.toString();
}

/** Everything up to the other side's FIN, as text. */
export async function textToEnd(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  await within(once(socket, 'end'), 'the end of an answer');
  return Buffer.concat(chunks).toString();
}

/** One connection: sends `text` and a FIN, and gives all that comes back. */
export async function askTcp(where: Where, text = ''): Promise<string> {
  const socket = await connectTcp(where);
  socket.end(text);
  try {
    return await textToEnd(socket);
  } finally {
    socket.destroy();
  }
}

/** Whether nothing listens there. */
export async function isRefused({ address: host = '127.0.0.1', port }: Where): Promise<boolean> {
  const socket = createConnection({ host, port });
  try {
    await within(once(socket, 'connect'), 'a connection or its refusal');
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A client whose server is missing may be reset before it knows that it has connected.
    if (code === 'ECONNRESET') return false;
    if (code === 'ECONNREFUSED') return true;
    throw error;
  } finally {
    socket.destroy();
  }
}

/**
 * Whether a client is answered; one that is refused is reset, perhaps before it knows that it has
 * connected.
 */
export async function isServed(
  { address: host = '127.0.0.1', port }: Where,
  clients: Socket[] = [],
): Promise<boolean> {
  const socket = createConnection({ host, port, noDelay: true });
  clients.push(socket);
  socket.write('x');
  const [fate] = (await within(
    Promise.race([
      once(socket, 'data'),
      new Promise((resolve) => socket.once('error', (error) => resolve([error]))),
    ]),
    'an answer or a reset',
  )) as [Buffer | NodeJS.ErrnoException];
  socket.on('error', () => undefined);
  if (Buffer.isBuffer(fate)) return true;
  if (fate.code === 'ECONNRESET' || fate.code === 'EPIPE') return false;
  throw fate;
}
