import { describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';
import { digestOf, sendPayload } from '../helpers/payload.js';
import { askTcp, connectTcp, isRefused } from '../helpers/tcp-client.js';
import { useContainer } from '../helpers/use-container.js';

const BYTES = 300_000;

const fixture = useContainer();

function host(address: string | undefined, port = 0): { address?: string; port: number } {
  return address === undefined ? { port } : { address, port };
}

describe.each([
  { listener: undefined, client: '127.0.0.1' },
  { listener: undefined, client: '::1' },
  { listener: '127.0.0.1', client: '127.0.0.1' },
  { listener: '0.0.0.0', client: '127.0.0.1' },
  { listener: '::1', client: '::1' },
  { listener: '::', client: '::1' },
])('a TCP forward that listens on $listener', ({ listener, client }) => {
  test.each(['127.0.0.1', '::1'])(`carries bytes from ${client} to %s and back`, async (target) => {
    const { port } = await fixture.container.tcp({ kind: 'echo' }, { address: target });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const forward = await forwarder.add({
      host: host(listener),
      container: { address: target, port },
    });
    expect(forward.host.dualStack).toBe(listener === undefined);
    const socket = await connectTcp({ address: client, port: forward.host.port });
    const back = digestOf(socket);
    const sent = await sendPayload(socket, BYTES);
    socket.end();
    expect(await back).toEqual(sent);
    socket.destroy();
  });
});

describe('a TCP forward of one family', () => {
  test('can share its port between 0.0.0.0 and ::, each of which serves its own family', async () => {
    const four = await fixture.container.tcp({ kind: 'greet', text: 'four' });
    const six = await fixture.container.tcp({ kind: 'greet', text: 'six' }, { address: '::1' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const first = await forwarder.add({
      host: host('0.0.0.0'),
      container: { port: four.port },
    });
    const { port } = first.host;
    expect(await isRefused({ address: '::1', port })).toBe(true);
    const second = await forwarder.add({
      host: host('::', port),
      container: { address: '::1', port: six.port },
    });
    expect(await askTcp({ address: '127.0.0.1', port })).toBe('four');
    expect(await askTcp({ address: '::1', port })).toBe('six');
    await forwarder.remove(first.id);
    expect(await isRefused({ address: '127.0.0.1', port })).toBe(true);
    expect(await askTcp({ address: '::1', port })).toBe('six');
    expect([first.host.dualStack, second.host.dualStack]).toEqual([false, false]);
  });

  test('does not listen on another loopback address', async () => {
    const { port: target } = await fixture.container.tcp({ kind: 'echo' });
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host: bound } = await forwarder.add({
      host: host('127.0.0.2'),
      container: { port: target },
    });
    expect(bound.address).toBe('127.0.0.2');
    expect(await isRefused({ address: '127.0.0.1', port: bound.port })).toBe(true);
    expect(await isRefused({ address: '127.0.0.2', port: bound.port })).toBe(false);
  });
});
