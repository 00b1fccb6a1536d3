// What a shim reads by itself means the same to the resident. Thousands of configurations and
// requests, right and wrong, are read by both; which of them a shim takes for plain is listed where
// it matters.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/address.js';
import { decodeConfig, expand } from '../../src/engines/podman/config.js';
import { parseJson, stringOf } from '../../src/engines/podman/go-json.js';
import { check } from '../../src/rootlesskit/ports.js';
import { resolveForwards } from '../../src/spec/validate.js';
import { Random } from '../helpers/random.js';
import { isMissing } from '../helpers/tools.js';

const compiler = process.env['CXX'] ?? 'c++';
const isUntested = isMissing(
  { command: compiler, package: 'g++' },
  'the comparison of configurations',
);

const folder = mkdtempSync(join(tmpdir(), 'spliceport-plain-'));
const program = join(folder, 'plain-config');
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  if (isUntested) return;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const sources = [
    'test/contract/programs/plain-config.cc',
    ...['shim/plain_config.cc', 'shim/plain_text.cc', 'net/address.cc', 'base/secret_hash.cc'].map(
      (file) => `native/${file}`,
    ),
  ];
  execFileSync(compiler, ['-std=c++20', '-Inative', '-o', program, ...sources], { cwd: root });
}, 60_000);

/** What the shim makes of each line; null for what it leaves to the resident. */
function read(lines: readonly string[]): unknown[] {
  const input = lines.map((line) => `${line}\n`).join('');
  const output = execFileSync(program, { input, maxBuffer: Infinity });
  return output
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

/** What the resident makes of a configuration. */
function resolved(json: string): object {
  const { mappings, ...config } = decodeConfig(Buffer.from(json));
  const { ranges, failure } = check(expand(mappings), config.containerAddress, 70_000);
  expect(failure).toBeUndefined();
  expect(mappings.every(({ shape }) => shape === 'range')).toBe(true);
  const specs = ranges.map(({ spec }) => spec);
  return {
    ...config,
    ranges: resolveForwards(specs, '/netns').map(({ host, container, count }) => ({
      ...host,
      count,
      target: container.address,
      targetPort: container.port,
    })),
  };
}

const mapping = {
  host_ip: '',
  container_port: 80,
  host_port: 8080,
  range: 1,
  protocol: 'tcp',
};
const config = {
  Mappings: [mapping],
  NetNSPath: '/run/user/1000/netns/netns-1',
  ExitFD: 3,
  ReadyFD: 4,
  TmpDir: '/run/user/1000/libpod/tmp',
  ChildIP: '10.88.0.5',
  ContainerID: 'c0ffee',
  RootlessCNI: true,
};
const json = JSON.stringify;
const withMapping = (...changes: object[]) =>
  json({ ...config, Mappings: changes.map((each) => ({ ...mapping, ...each })) });

const addresses = [
  ...['', '0.0.0.0', '::', '127.0.0.1', '127.0.0.9', '::1', '10.88.0.5', 'fd00::5', '192.168.0.1'],
  ...[
    '::ffff:1.2.3.4',
    '::1.2.3.4',
    '01.2.3.4',
    '1.2.3',
    'FD00::5',
    'fd00:0::5',
    'fe80::1%1',
    '::ffff',
    'x',
  ],
  ...['1:0:0:2:0:0:0:3', '1:0:2:3:4:5:6:7', '1::2:0:0:3', '::102:304'],
];
const ports = [0, 1, 80, 81, 8080, 8081, 65_534, 65_535, 65_536, -1, 1.5];
const protocols = [
  'tcp',
  'udp',
  'tcp,udp',
  'udp,tcp',
  'tcp,tcp',
  'tcp4',
  'udp6',
  'sctp',
  'TCP',
  '',
  'tcp,',
  ',udp',
];
const values = [null, true, '', 0, '3', [], {}, 'a"b', '\u00fc', 1e21];
const names = ['/a', '/a/../b', '/', 'a', '/a/', '//a', '.', '..', 'c0ffee', 'a/b'];

function randomMapping(random: Random): object {
  const usual = !random.once(4);
  return {
    host_ip: usual ? random.pick(addresses.slice(0, 9)) : random.pick(addresses),
    container_port: usual ? 1 + random.below(65_535) : random.pick(ports),
    host_port: usual ? 8_000 + random.below(60) : random.pick(ports),
    range: usual ? 1 + random.below(3) : random.pick(ports),
    protocol: usual ? random.pick(protocols.slice(0, 3)) : random.pick(protocols),
  };
}

/** A configuration, with a few things about it that may be wrong. */
function randomConfig(random: Random): string {
  const own: Record<string, unknown> = {
    ...config,
    Mappings: Array.from({ length: 1 + random.below(4) }, () => randomMapping(random)),
    ChildIP: random.once(2) ? '10.88.0.5' : random.pick(addresses),
    RootlessCNI: random.once(2),
  };
  if (random.once(8)) own[random.pick(Object.keys(config))] = random.pick([...values, ...names]);
  const missing = random.once(16) ? random.pick(Object.keys(config)) : undefined;
  const entries = Object.entries(own).filter(([name]) => name !== missing);
  if (random.once(4)) entries.reverse();
  const text = json(Object.fromEntries(entries));
  return random.once(4) ? mutated(text, random) : text;
}

const pieces = [
  '"',
  '\\',
  ',',
  '{',
  '}',
  '[',
  ']',
  ':',
  ' ',
  '0',
  '-',
  'e1',
  '\\u0041',
  '\t',
  'null',
  '"range":2,',
];

function mutated(text: string, random: Random): string {
  const at = random.below(text.length);
  const to = at + random.below(3);
  return text.slice(0, at) + (random.once(3) ? '' : random.pick(pieces)) + text.slice(to);
}

describe.skipIf(isUntested)('what a shim takes for a plain configuration', () => {
  test('means the same to the resident', () => {
    const random = new Random(14);
    const lines = Array.from({ length: 20_000 }, () => randomConfig(random));
    let plain = 0;
    for (const [index, own] of read(lines).entries()) {
      if (own === null) continue;
      plain++;
      expect(own, lines[index]).toEqual(resolved(lines[index] ?? ''));
    }
    // Else it would say little.
    expect(plain).toBeGreaterThan(1_000);
    expect(plain).toBeLessThan(15_000);
  });

  test.each([
    ['as Podman writes it', json(config)],
    ['without an address', json({ ...config, ChildIP: '' })],
    ['for both protocols', withMapping({ protocol: 'tcp,udp' })],
    ['with a range', withMapping({ range: 1_000 })],
    ['for an IPv6 address', withMapping({ host_ip: '::1' })],
    ['for two addresses', withMapping({ host_ip: '127.0.0.1' }, { host_ip: '127.0.0.2' })],
  ])('is one %s', (_, line) => {
    expect(read([line])).toEqual([resolved(line)]);
  });

  test.each<[string, string]>([
    ['with a space', json(config, null, 1).replaceAll('\n', '')],
    ['with something behind it', `${json(config)} `],
    ['with a key that nobody knows', json({ ...config, More: 1 })],
    ['with a key in other letters', json(config).replace('ChildIP', 'childip')],
    ['without a key', json({ ...config, ChildIP: undefined })],
    ['with a key twice', json(config).replace('{', '{"ExitFD":3,')],
    ['with an escape', json({ ...config, ContainerID: 'a"b' })],
    ['with letters beyond ASCII', json({ ...config, TmpDir: '/home/j\u00fcrgen' })],
    ['with a number too long', json(config).replace(':3,', ':3000000000,')],
    ['with a number of another form', json(config).replace(':3,', ':3.0,')],
    ['without mappings', json({ ...config, Mappings: [] })],
    ['with null for mappings', json({ ...config, Mappings: null })],
    [
      'in the shape of Podman 3',
      json({
        ...config,
        Mappings: [{ hostPort: 1, containerPort: 1, protocol: 'tcp', hostIP: '' }],
      }),
    ],
    ['with an empty range', withMapping({ range: 0 })],
    ['with a range beyond the last port', withMapping({ host_port: 65_000, range: 600 })],
    ['with a port 0', withMapping({ container_port: 0 })],
    ['with a protocol for one family', withMapping({ protocol: 'tcp4' })],
    ['with SCTP', withMapping({ protocol: 'sctp' })],
    ['with a port twice', withMapping({ range: 3 }, { host_port: 8082 })],
    ['with a port twice, once by each name of all addresses', withMapping({}, { host_ip: '::' })],
    [
      'with more ports than there are',
      withMapping({ host_port: 1, container_port: 1, range: 65_535, protocol: 'tcp,udp' }),
    ],
    ['with a mapped address', withMapping({ host_ip: '::ffff:127.0.0.1' })],
    ['with an address of one interface', json({ ...config, ChildIP: 'fe80::1%1' })],
    [
      'whose target depends on the host’s interfaces',
      json({ ...config, ChildIP: '', Mappings: [{ ...mapping, host_ip: '192.168.0.1' }] }),
    ],
    ['with a folder that is not tidy', json({ ...config, TmpDir: '/run/../tmp' })],
    ['with a relative folder', json({ ...config, TmpDir: 'tmp' })],
    ['with an id that is no name', json({ ...config, ContainerID: 'a/b' })],
    ['without a namespace', json({ ...config, NetNSPath: '' })],
    ['with the first descriptor', json({ ...config, ExitFD: 0 })],
  ])('is none %s', (_, line) => {
    expect(read([line])).toEqual([null]);
  });
});

describe.skipIf(isUntested)('what a shim takes for a plain request to reload', () => {
  const addressIn = (text: string) => {
    const source = parseJson(text);
    expect(source.kind).toBe('string');
    const address = stringOf(source.text);
    if (address !== '') expect(parseAddress(address)?.address).toBe(address);
    return address;
  };

  test('means the same to the resident', () => {
    const random = new Random(15);
    const lines = Array.from({ length: 5_000 }, () => {
      const text = json(random.pick([...addresses, ...names]));
      return random.once(3) ? mutated(text, random) : text;
    });
    let plain = 0;
    for (const [index, own] of read(lines.map((line) => `R${line}`)).entries()) {
      if (own === null) continue;
      plain++;
      expect(own).toBe(addressIn(lines[index] ?? ''));
    }
    expect(plain).toBeGreaterThan(500);
  });

  test.each([
    'null',
    '10.0.0.1',
    '"10.0.0.1" ',
    '"10.0.0.01"',
    '"::FFFF"',
    '"fe80::1%1"',
    '"\\u0031.2.3.4"',
    '[]',
    '"',
  ])('is not %s', (line) => {
    expect(read([`R${line}`])).toEqual([null]);
  });
});
