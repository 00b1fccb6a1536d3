import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acceptUnix, connectUnix, listenUnix } from '../../src/system.js';

/** Both ends of a connection of Unix stream sockets. */
export function unixPair(): [client: number, server: number] {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-'));
  const folderFd = openSync(folder, 'r');
  const listener = listenUnix('stream', folderFd, 'socket');
  const client = connectUnix('stream', folderFd, 'socket');
  const server = acceptUnix(listener) ?? -1;
  for (const fd of [listener, folderFd]) closeSync(fd);
  rmSync(folder, { recursive: true });
  return [client, server];
}
