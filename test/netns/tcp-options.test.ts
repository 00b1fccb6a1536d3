import { describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import { digestOf, digestOfNext, sendPayload } from '../helpers/payload.js';
import { askTcp, connectTcp, nextText } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';

const MIB = 1 << 20;

const fixture = useContainer();

describe.each([
  { workers: 1 },
  { workers: 4 },
  { spinMicros: 50 },
  { pipeCapacityBytes: 4_096 },
  { pipeCapacityBytes: 16 * MIB },
])('a TCP forward with %o', (options) => {
  test('relays chat and bulk, on one connection and on many', async () => {
    const { port } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns, ...options });
    const { host } = await forwarder.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port },
    });
    const socket = await connectTcp(host);
    for (const bytes of [4 * MIB, 4 * MIB + 1]) {
      socket.write('chat');
      expect(await nextText(socket)).toBe('chat');
      const back = digestOfNext(socket, bytes);
      const sent = await sendPayload(socket, bytes);
      expect(await back).toEqual(sent);
    }
    socket.destroy();
    const many = Array.from({ length: 32 }, async (_, index) => {
      const each = await connectTcp(host);
      const back = digestOf(each);
      const sent = await sendPayload(each, MIB + index, 9_001 + index);
      each.end();
      expect(await back).toEqual(sent);
    });
    await Promise.all(many);
    expect(await askTcp(host, 'afterwards')).toBe('afterwards');
  });
});
