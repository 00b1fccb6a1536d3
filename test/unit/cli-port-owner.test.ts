import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { basename } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { describePortOwner } from '../../src/cli/running/port-owner.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(host: string, ipv6Only = false): Promise<number> {
  const server = createServer().listen({ port: 0, host, ipv6Only });
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('describePortOwner', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '0.0.0.0', true],
    ['127.0.0.1', '::', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['0.0.0.0', '127.0.0.1', true],
    ['::1', '::1', true],
    ['::1', '0.0.0.0', false],
    ['::1', '127.0.0.1', false],
    ['::', '127.0.0.1', true],
  ])(
    'recognizes a listener on %s as the owner when %s is wanted: %s',
    async (has, wanted, isFound) => {
      const port = await listen(has);
      const text = describePortOwner([{ protocol: 'tcp', address: wanted, port }]);
      if (isFound) {
        expect(text).toMatch(new RegExp(`^Process ${process.pid} uses port ${port}: \\S`));
      } else {
        expect(text).toBeUndefined();
      }
    },
  );

  test('distinguishes UDP from TCP', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    const of = (protocol: 'tcp' | 'udp'): string | undefined =>
      describePortOwner([{ protocol, address: '127.0.0.1', port }]);
    expect(of('udp')).toContain(`Process ${process.pid} uses port ${port}`);
    expect(of('tcp')).toBeUndefined();
    socket.close();
  });

  test('looks at each endpoint until one has an owner', async () => {
    const port = await listen('127.0.0.1');
    const wanted = ['127.0.0.2', '127.0.0.1'].map((address) => ({
      protocol: 'tcp' as const,
      address,
      port,
    }));
    expect(describePortOwner(wanted)).toContain(`uses port ${port}`);
    expect(describePortOwner([])).toBeUndefined();
  });

  test('shows the path of a program that was started by a mere name', async () => {
    const script = `require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port); })`;
    const child = spawn(process.execPath, ['-e', script], {
      argv0: basename(process.execPath),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(line.toString());
    const text = describePortOwner([{ protocol: 'tcp', address: '127.0.0.1', port }]);
    child.kill('SIGKILL');
    expect(text).toContain(
      `Process ${child.pid} uses port ${port}: ${realpathSync(process.execPath)} -e`,
    );
  });
});
