// pipes.ts: real pipes for a helper's descriptors; what node's spawn calls a pipe is a socket.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A pipe; the ends are closed by their users. */
export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
}

export function makePipe(): Pipe {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-pipe-'));
  const path = join(folder, 'fifo');
  try {
    execFileSync('mkfifo', [path]);
    // Opened for both first, because each end alone waits for the other.
    const both = openSync(path, constants.O_RDWR);
    const readEnd = openSync(path, constants.O_RDONLY);
    const writeEnd = openSync(path, constants.O_WRONLY);
    closeSync(both);
    return { readEnd, writeEnd };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Everything up to the end of the pipe, of which the read end is closed then. */
export async function textOf(readEnd: number): Promise<string> {
  const stream = new Socket({ fd: readEnd, readable: true, writable: false });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  return Buffer.concat(chunks).toString();
}
