// stranger.ts: a process of another user.

import { execFile, spawnSync } from 'node:child_process';

const file = 'setpriv';
const args = ['--reuid', '65534', '--clear-groups'];

/**
 * Whether there is no other user, as in a namespace with one alone, which says so; an error in CI.
 */
export function isWithoutStrangers(tests: string): boolean {
  if (spawnSync(file, [...args, 'true']).status === 0) return false;
  const reason = 'there is no other user here; run the tests as root, with setpriv of util-linux';
  if (!['', 'false', undefined].includes(process.env['CI'])) throw new Error(reason);
  process.stderr.write(`skipped: ${tests}; ${reason}\n`);
  return true;
}

/**
 * All that a stranger is told who sends a request to a socket of the type `stream`, and how that
 * ends.
 */
export function sendAsStranger(
  path: string,
  request: string,
): Promise<{ text: string; errorCode: string }> {
  const program = `
    let [text, errorCode] = ['', ''];
    const socket = require('net').createConnection(process.argv[1]);
    socket.on('data', (data) => (text += data)).on('error', ({ code }) => (errorCode = code));
    socket.on('close', () => console.log(JSON.stringify({ text, errorCode })));
    socket.write(process.argv[2]);`;
  const command = [...args, process.execPath, '-e', program, path, request];
  return new Promise((resolve, reject) => {
    execFile(file, command, { timeout: 10_000 }, (error, stdout) => {
      if (error !== null) reject(new Error('no answer', { cause: error }));
      else resolve(JSON.parse(stdout) as { text: string; errorCode: string });
    });
  });
}
