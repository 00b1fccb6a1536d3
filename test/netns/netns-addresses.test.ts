// Whether a network namespace has an address, as the port driver of RootlessKit asks.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { hasAddress } from '../../src/cli/rootlesskit/netns-addresses.js';
import { Container } from '../helpers/container.js';

let container: Container;
beforeAll(async () => {
  container = await Container.start();
  for (const address of ['10.88.0.2/16', '2001:db8::a:7/64', 'fd00:1:2:3:4:5:6:7/128']) {
    await container.run('ip', 'address', 'add', address, 'dev', 'lo');
  }
  await container.run('ip', 'route', 'add', '10.89.0.2/32', 'dev', 'lo');
});
afterAll(() => container.stop());

test.each([
  ['10.88.0.2', true],
  ['2001:db8::a:7', true],
  ['2001:DB8:0:0::a:7', true],
  ['fd00:1:2:3:4:5:6:7', true],
  ['::1', true],
  // Parts of addresses, the network, a route, and what it does not have.
  ['10.88.0', false],
  ['0.88.0.2', false],
  ['10.88.0.0', false],
  ['10.89.0.2', false],
  ['2001:db8::a:70', false],
  ['2001:db8::', false],
  ['172.17.0.2', false],
])('%s: %s', (address, has) => {
  expect(hasAddress(container.pid, address)).toBe(has);
});

test('a process that is gone has none', () => {
  expect(hasAddress(2 ** 22 + 1, '127.0.0.1')).toBe(false);
});
