import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { refuse } from '../../src/control/refusal.js';
import { acceptUnix, connectUnix, listenUnix, receive, send } from '../../src/system.js';
import { openFds } from '../helpers/process-facts.js';
import { until } from '../helpers/wait.js';

let folder: string;
let folderFd: number;
let listener: number;
let before: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-refusal-'));
  folderFd = openSync(folder, 'r');
  listener = listenUnix('stream', folderFd, 'socket');
  before = openFds();
});
afterEach(() => {
  closeSync(listener);
  closeSync(folderFd);
  rmSync(folder, { recursive: true });
});

/** Both ends of a connection. */
function connect(): { readonly client: number; readonly server: number } {
  const client = connectUnix('stream', folderFd, 'socket');
  const server = acceptUnix(listener);
  if (server === undefined) throw new Error('nobody connected');
  return { client, server };
}

/** What a client is told, up to the end of the connection; a reset is an error. */
async function whole(client: number): Promise<string> {
  let text = '';
  await until(() => {
    const data = receive(client, 4_096);
    text += data?.toString() ?? '';
    return data?.length === 0;
  }, 'the end of the connection');
  closeSync(client);
  return text;
}

describe('a rejected client of the control socket', () => {
  test.each(['before', 'after'])(
    'that calls %s the rejection gets the whole answer and an orderly end',
    async (when) => {
      const { client, server } = connect();
      const request = Buffer.from('GET / HTTP/1.1\r\n\r\n');
      if (when === 'before') send(client, request);
      refuse(server, '403 Forbidden', 'not you');
      if (when === 'after') send(client, request);
      const text = await whole(client);
      expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
      const [head = '', body = ''] = text.split('\r\n\r\n');
      expect(JSON.parse(body)).toEqual({ message: 'not you' });
      expect(head).toContain(`Content-Length: ${body.length}`);
      expect(openFds()).toBe(before);
    },
  );

  test('that never calls is disconnected after a second', async () => {
    const { client, server } = connect();
    const started = performance.now();
    refuse(server, '403 Forbidden', 'not you');
    await whole(client);
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(openFds()).toBe(before);
  });

  test('that has disconnected, or is one of very many, costs no descriptor', async () => {
    const gone = connect();
    closeSync(gone.client);
    refuse(gone.server, '403 Forbidden', 'not you');
    const many = Array.from({ length: 40 }, connect);
    for (const { server } of many) refuse(server, '503 Service Unavailable', 'too many');
    expect(openFds() - before).toBeLessThanOrEqual(40 + 17);
    const texts = await Promise.all(many.map(({ client }) => whole(client)));
    for (const text of texts) expect(text).toContain('too many');
    expect(openFds()).toBe(before);
  });
});
