import { describe, expect, test } from 'vitest';
import { server } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';
import { transferTcp, transferUdp, type Digests } from './harness/transfers.js';

const protocols = ['tcp', 'udp'] as const;
const families = [
  { family: 'ipv4', address: '127.0.0.1', bound: '127.0.0.2' },
  { family: 'ipv6', address: '::1', bound: '2001:db8::2' },
] as const;
const shapes = [
  { shape: 'a single port', count: 1, shift: 0, isBound: false },
  { shape: 'a range', count: 3, shift: 0, isBound: false },
  { shape: 'a translated port', count: 1, shift: 1, isBound: false },
  { shape: 'a translated range', count: 3, shift: 1, isBound: false },
  { shape: 'an address-bound port', count: 1, shift: 0, isBound: true },
] as const;
const sizes = [2 * 1024, 10 * 1024 * 1024];

const range = (first: number, count: number): string =>
  count === 1 ? `${first}` : `${first}-${first + count - 1}`;

describePodman('transfers through podman', (host) => {
  const transfer = async (
    protocol: 'tcp' | 'udp',
    where: { readonly address: string; readonly port: number },
    bytes: number,
  ): Promise<Digests> => {
    if (protocol === 'tcp') return transferTcp(await host().sockets.connect(where), bytes);
    const socket = await host().sockets.udp(where.address.includes(':') ? '::' : '0.0.0.0');
    try {
      return await transferUdp(socket, bytes, where);
    } finally {
      socket.close();
    }
  };

  for (const protocol of protocols) {
    for (const { family, address, bound } of families) {
      describe(`${protocol} over ${family}`, () => {
        for (const { shape, count, shift, isBound } of shapes) {
          test(`${shape} carries 2 kB and 10 MB intact, there and back`, async () => {
            const port = await host().sockets.freePorts(count);
            const inside = range(port + shift, count);
            const published = `${range(port, count)}:${inside}/${protocol}`;
            const service = `${protocol === 'tcp' ? 'digest' : 'udp'}:${inside}`;
            await host().run(
              '-p',
              isBound ? `[${bound}]:${published}` : published,
              ...server(service),
            );
            for (let index = 0; index < count; index += 1) {
              const where = { address: isBound ? bound : address, port: port + index };
              expect(host().isForwarded(where.port, protocol)).toBe(true);
              for (const bytes of sizes) {
                const { sent, inContainer, back } = await transfer(protocol, where, bytes);
                expect({ inContainer, back }).toEqual({ inContainer: sent, back: sent });
              }
            }
            expect(await host().sockets.isFree(port, protocol, address)).toBe(isBound);
          });
        }
      });
    }
  }
});
