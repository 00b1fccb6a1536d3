import { SocketAddress } from 'node:net';
import { describe, expect, test } from 'vitest';
import { formatEndpoint, isUnspecified, parseAddress, parseCidr } from '../../src/address.js';

describe('parseAddress', () => {
  test.each([
    '0.0.0.0',
    '127.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '1::',
    'fe80::1',
    '2001:db8::',
    '2001:db8:0:1:1:1:1:1',
    '2001:db8::1:0:0:1',
    '1:2:3:4:5:6:7:8',
    '::ffff:0:1.2.3.4',
    '64:ff9b::1.2.3.4',
  ])('reads %s and writes it as the system does', (text) => {
    const parsed = parseAddress(text);
    const family = text.includes(':') ? 6 : 4;
    expect(parsed?.family).toBe(family);
    // The dotted tail that some systems print stands for the same address.
    const system = new SocketAddress({ address: text, family: `ipv${family}` }).address;
    expect(parseAddress(system)).toEqual(parsed);
    if (!system.includes('.') || family === 4) expect(parsed?.address).toBe(system);
  });

  test.each([
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0001:0:0:2::', '1:0:0:2::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ])('writes %s in its canonical form', (text, canonical) => {
    expect(parseAddress(text)).toEqual({ family: 6, address: canonical });
  });

  test.each(['::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:192.0.2.1'])(
    'reads %s as the IPv4 address that it stands for',
    (text) => {
      expect(parseAddress(text)).toEqual({ family: 4, address: '192.0.2.1' });
    },
  );

  test.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.0.0.1',
    ' 127.0.0.1',
    '127.0.0.1\n',
    ':',
    ':::',
    ':1',
    '1:',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4::5:6:7:8',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::1.2.3',
    '[::1]',
    'fe80::1%lo',
  ])('rejects %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('parseCidr', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['FD00:0::/8', 'fd00::/8'],
    ['::1/128', '::1/128'],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ])('reads %s as %s', (text, expected) => {
    expect(parseCidr(text)).toBe(expected);
  });

  test.each([
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '::ffff:10.0.0.0/95',
    'lan',
  ])('rejects %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});

test('formatEndpoint puts an IPv6 address in brackets', () => {
  expect(formatEndpoint({ address: '127.0.0.1', port: 80 })).toBe('127.0.0.1:80');
  expect(formatEndpoint({ address: '::1', port: '80-82' })).toBe('[::1]:80-82');
});

test.each([
  ['0.0.0.0', true],
  ['::', true],
  ['0.0.0.1', false],
  ['::1', false],
])('isUnspecified recognizes the addresses that stand for all: %s', (address, expected) => {
  expect(isUnspecified(address)).toBe(expected);
});
