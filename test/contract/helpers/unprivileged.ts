// unprivileged.ts: a container that a user without privileges has made.

import { spawn, type ChildProcess } from 'node:child_process';
import { until } from '../../helpers/wait.js';

/**
 * Becomes a root who may do nothing but become root of a user namespace, which takes CAP_SETFCAP
 * since Linux 5.12.
 */
export const powerlessRoot = ['setpriv', '--bounding-set=-all,+setfcap', '--inh-caps=-all'];

/** Echoes on port 7 of its loopback, in JavaScript that needs no file. */
const echoServer = `
  const lo = require('child_process').spawnSync('ip', ['link', 'set', 'lo', 'up']);
  if (lo.status !== 0) throw new Error('ip: ' + lo.stderr);
  const echo = (socket) => socket.on('error', () => undefined).pipe(socket);
  require('net').createServer(echo).listen(7, '127.0.0.1', () => console.log('up'));
  process.stdin.resume().on('end', () => process.exit());
`;

/**
 * A process in user and network namespaces of its own that echoes on port 7, until its stdin ends.
 */
export async function startUnprivileged(become: readonly string[]): Promise<ChildProcess> {
  const [file = '', ...args] = become;
  const unshare = ['unshare', '--user', '--map-root-user', '--net'];
  const container = spawn(file, [...args, ...unshare, process.execPath, '-e', echoServer], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  container.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until(() => output.includes('up'), 'a server in the container', 20_000);
  return container;
}
