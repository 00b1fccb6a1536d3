import { describe, expect, test } from 'vitest';
import { formatPortSpec, parsePortSpec } from '../../src/spec/port-spec.js';
import type { ForwardSpec } from '../../src/types/forward-spec.js';
import type { Forward } from '../../src/types/forwards.js';
import { damage } from '../helpers/random-json.js';
import { Random } from '../helpers/random.js';

const good: readonly (readonly [string, ForwardSpec])[] = [
  ['8080:80', { protocol: 'tcp', host: { port: 8080 }, container: { port: 80 } }],
  ['8080:80/udp', { protocol: 'udp', host: { port: 8080 }, container: { port: 80 } }],
  ['8080:80/TCP', { protocol: 'tcp', host: { port: 8080 }, container: { port: 80 } }],
  ['0:80', { protocol: 'tcp', host: { port: 0 }, container: { port: 80 } }],
  [
    '127.0.0.1:8080:80',
    { protocol: 'tcp', host: { address: '127.0.0.1', port: 8080 }, container: { port: 80 } },
  ],
  [
    '8080:10.0.2.100:80',
    { protocol: 'tcp', host: { port: 8080 }, container: { address: '10.0.2.100', port: 80 } },
  ],
  [
    '[::1]:8080:[::2]:80/udp',
    {
      protocol: 'udp',
      host: { address: '::1', port: 8080 },
      container: { address: '::2', port: 80 },
    },
  ],
  [
    '[::]:65535:65535',
    { protocol: 'tcp', host: { address: '::', port: 65535 }, container: { port: 65535 } },
  ],
  [
    '0.0.0.0:8000-8009:80-89',
    {
      protocol: 'tcp',
      host: { address: '0.0.0.0', port: 8000 },
      container: { port: 80 },
      count: 10,
    },
  ],
  ['0:80-82', { protocol: 'tcp', host: { port: 0 }, container: { port: 80 }, count: 3 }],
  ['8000-8000:80-80', { protocol: 'tcp', host: { port: 8000 }, container: { port: 80 } }],
];

const bad: readonly (readonly [string, string])[] = [
  ['', 'it needs a host port and a container port'],
  ['bad', '"bad" is not an IP address, a port or a range of ports'],
  ['80', 'it needs a host port and a container port'],
  ['127.0.0.1:80', 'it needs a host port and a container port'],
  ['8080:80:90', 'too many fields'],
  [':8080:80', 'a field is empty'],
  ['8080::80', 'a field is empty'],
  ['8080:80:', 'a field is empty'],
  ['::1:8080:80', 'IPv6 addresses must be in brackets'],
  ['[::1:8080:80', 'IPv6 addresses must be in brackets'],
  ['[::1]8080:80', 'IPv6 addresses must be in brackets'],
  ['[127.0.0.1]:8080:80', 'only IPv6 addresses may be in brackets'],
  ['[::g]:8080:80', '"[::g]" is not an IP address'],
  ['127.0.0.1:x:80', 'the host port "x" is not a number'],
  ['8080:80x', '"80x" is not an IP address'],
  [' 8080:80', '" 8080" is not an IP address'],
  ['8080:80/sctp', 'the protocol "sctp" is not tcp or udp'],
  ['8080:80/', 'the protocol "" is not tcp or udp'],
  ['65536:80', 'the host port 65536 is not between 0 and 65535'],
  ['8080:0', 'the container port 0 is not between 1 and 65535'],
  ['8080:99999999999999999999', 'is not between 1 and 65535'],
  ['8009-8000:80-89', 'the range of host ports 8009-8000 ends before it starts'],
  ['0-9:80-89', 'a range of host ports cannot start at 0'],
  ['8000-8009:80', '10 host ports do not match 1 container ports'],
  ['8000:80-81', '1 host ports do not match 2 container ports'],
  ['8080:80,8081:81', '"80,8081" is not an IP address'],
  ['127.0.0.1:8080:127.0.0.1:80:81', 'too many fields'],
];

describe('parsePortSpec', () => {
  test.each(good)('reads %s', (text, spec) => {
    expect(parsePortSpec(text)).toEqual(spec);
  });

  test.each(bad)('rejects %j with the reason', (text, problem) => {
    expect(() => parsePortSpec(text)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_SPLICEPORT_INVALID_PORT_SPEC',
        message: expect.stringContaining(problem) as string,
      }),
    );
  });

  test('shows what was given, and what is expected', () => {
    expect(() => parsePortSpec('80')).toThrow(
      'Expected a port specification such as 127.0.0.1:8080:80/tcp for spec but received "80" of type string: ' +
        'it needs a host port and a container port (with host port 0, the kernel picks one)',
    );
  });

  test('rejects what is not a string', () => {
    expect(() => parsePortSpec(80 as unknown as string)).toThrow(
      expect.objectContaining({ code: 'ERR_SPLICEPORT_INVALID_ARG_TYPE' }),
    );
  });
});

describe('formatPortSpec', () => {
  test.each(good)('writes what is read back as %s is', (_text, spec) => {
    expect(parsePortSpec(formatPortSpec(spec))).toEqual(spec);
  });

  test('leaves out defaults, except the protocol', () => {
    expect(formatPortSpec({ host: { port: 80 }, container: { port: 80 } })).toBe('80:80/tcp');
  });

  test('distinguishes a forward on every address from one on every IPv6 address', () => {
    const forward: Forward = {
      id: 1,
      protocol: 'tcp',
      host: { address: '::', port: 8080, dualStack: true },
      container: { address: '127.0.0.1', port: 80 },
      netnsPath: '/proc/1/ns/net',
      sourceAddress: 'container',
    };
    expect(formatPortSpec(forward)).toBe('8080:80/tcp');
    expect(formatPortSpec({ ...forward, host: { ...forward.host, dualStack: false } })).toBe(
      '[::]:8080:80/tcp',
    );
  });
});

describe('random specifications', () => {
  const seeds = Array.from({ length: 3_000 }, (_, index) => index + 1);

  test('are read as they were written, whatever they are', () => {
    for (const seed of seeds) {
      const random = new Random(seed);
      const count = random.once(2) ? 1 : 2 + random.below(9);
      const port = (lowest: number) => lowest + random.below(65_536 - lowest - count);
      const address = () =>
        random.pick([
          undefined,
          '0.0.0.0',
          '10.0.2.100',
          '255.255.255.255',
          '::',
          '::1',
          'fd00::a:0:1',
        ]);
      const at = (hostOrContainer: string | undefined, number: number) => ({
        ...(hostOrContainer !== undefined && { address: hostOrContainer }),
        port: number,
      });
      const spec: ForwardSpec = {
        protocol: random.pick(['tcp', 'udp']),
        host: at(address(), random.once(8) ? 0 : port(1)),
        container: at(address(), port(1)),
        ...(count > 1 && { count }),
      };
      const text = formatPortSpec(spec);
      expect(parsePortSpec(text), `seed ${seed}: ${text}`).toEqual(spec);
    }
  });

  test('of any other form are rejected, or mean what they are written as', () => {
    const addresses = [
      '',
      '',
      '127.0.0.1:',
      '10.0.2.100:',
      '1.2.3:',
      '[::1]:',
      '[::ffff:10.0.0.1]:',
    ];
    const ports = [
      '80',
      '0',
      '080',
      '65535',
      '65536',
      '65530-65540',
      '80-81',
      '81-80',
      '0-1',
      '1e3',
      '٣',
    ];
    const protocols = ['', '', '/tcp', '/UDP', '/sctp', '/'];
    let read = 0;
    for (const seed of seeds) {
      const random = new Random(seed);
      const side = () => random.pick(addresses) + random.pick(ports);
      const whole = `${side()}:${side()}${random.pick(protocols)}`;
      const text = random.once(2) ? whole : damage(random, whole);
      let spec: ForwardSpec;
      try {
        spec = parsePortSpec(text);
      } catch (error) {
        expect(error, `seed ${seed}`).toHaveProperty('code', 'ERR_SPLICEPORT_INVALID_PORT_SPEC');
        continue;
      }
      read++;
      const written = formatPortSpec(spec);
      expect(formatPortSpec(parsePortSpec(written)), `seed ${seed}: ${text}`).toBe(written);
      expect(spec.container.port + (spec.count ?? 1)).toBeLessThanOrEqual(65_536);
      expect(spec.host.port === 0 || spec.host.port + (spec.count ?? 1) <= 65_536).toBe(true);
    }
    expect(read).toBeGreaterThan(60);
  });
});
