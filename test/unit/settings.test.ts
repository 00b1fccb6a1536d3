import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { forwarderSettings, forwardSettings, withSettings } from '../../src/settings/apply.js';
import { builtInDefaults } from '../../src/settings/defaults.js';
import { forwarderFields } from '../../src/settings/forwarder-fields.js';
import { findSettingsFile } from '../../src/settings/find.js';
import { gatesOnly } from '../../src/settings/gates.js';
import { forwarderKeys } from '../../src/settings/keys.js';
import { describeProblem, loadSettings } from '../../src/settings/load.js';
import type { QuickSettings } from '../../src/settings/quick.js';
import type { SettingsFile } from '../../src/settings/settings-types.js';
import { resolveForwards, resolveOptions } from '../../src/spec/validate.js';
import { publicTypes } from '../helpers/public-types.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'spliceport-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | object): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** The problems of a file with this content, without the file's name. */
function problemsOf(content: string | object): string[] {
  const path = write('checked.json', content);
  return loadSettings(path).problems.map((each) => describeProblem(each).slice(path.length + 1));
}

describe('the settings file', () => {
  test('is the first that exists: the named one, the user’s, the system’s', () => {
    const home = write('home/.config/spliceport/config.json', '{}');
    const config = write('xdg/spliceport/config.json', '{}');
    const named = write('named.json', '{}');
    const env = { HOME: join(folder, 'home'), XDG_CONFIG_HOME: join(folder, 'xdg') };
    expect(findSettingsFile({ ...env, SPLICEPORT_CONFIG: named })).toBe(named);
    expect(findSettingsFile(env)).toBe(config);
    expect(findSettingsFile({ HOME: env.HOME })).toBe(home);
    expect(findSettingsFile({ HOME: env.HOME, XDG_CONFIG_HOME: 'relative' })).toBe(home);
    expect(findSettingsFile({ HOME: join(folder, 'nobody') })).toBeUndefined();
  });

  test('that is named is the only one, even if it is missing', () => {
    const missing = join(folder, 'missing.json');
    expect(findSettingsFile({ SPLICEPORT_CONFIG: missing })).toBe(missing);
    expect(problemsOf('{}')).toEqual([]);
    expect(loadSettings(missing).problems[0]?.message).toMatch(/cannot be read: ENOENT/);
  });

  test('may be empty, so that /dev/null turns settings off', () => {
    expect(findSettingsFile({ SPLICEPORT_CONFIG: '/dev/null' })).toBeUndefined();
    expect(findSettingsFile({ SPLICEPORT_CONFIG: write('empty.json', '') })).toBeUndefined();
  });

  test('that is a folder, or a pipe without a writer, is rejected at once', () => {
    expect(loadSettings(folder).problems[0]?.message).toBe('cannot be read: it is a folder');
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(loadSettings(pipe).problems[0]?.message).toBe(
      'cannot be read: it is not a regular file',
    );
  });

  test('may have comments and a byte order mark', () => {
    expect(problemsOf('\uFEFF// why\n{ /* here */ "defaults": {} }')).toEqual([]);
  });
});

describe('a problem in a settings file', () => {
  test.each<[string, string]>([
    [
      '{\n  "defaults": { "workers": "two" }\n}',
      '2:28: defaults.workers: expected an integer from 1 to 64, not "two"',
    ],
    [
      '{"defaults": {"workers": 65}}',
      '1:26: defaults.workers: expected an integer from 1 to 64, not 65',
    ],
    [
      '{"defaults": {"workers": 1.5}}',
      '1:26: defaults.workers: expected an integer from 1 to 64, not 1.5',
    ],
    [
      '{"defaults": {"log": {"level": "loud"}}}',
      '1:32: defaults.log.level: expected "silent" or "error" or "warn" or "info" or "debug", not "loud"',
    ],
    [
      '{"defaults": {"log": {"destination": "here"}}}',
      '1:38: defaults.log.destination: expected "stderr", "journal" or the absolute path of a file, not "here"',
    ],
    ['{"defaults": [1]}', '1:14: defaults: expected an object, not [1]'],
    ['[]', '1:1: expected an object, not []'],
    ['{"default": {}}', '1:2: default: unknown; expected one of $schema, defaults, rules'],
    ['{"rules": [{"set": {}}]}', '1:12: rules[0].match: expected an object, but it is missing'],
    [
      '{"rules": [{"match": {"hostPort": 0}, "set": {}}]}',
      '1:35: rules[0].match.hostPort: expected a port from 1 to 65535, or a range such as "8000-8010", not 0',
    ],
    [
      '{"rules": [{"match": {"hostPort": "90-80"}, "set": {}}]}',
      '1:35: rules[0].match.hostPort: expected a port from 1 to 65535, or a range such as "8000-8010", not "90-80"',
    ],
    [
      '{"rules": [{"match": {"protocol": "tcp"}, "set": {"workers": 1}}]}',
      '1:62: rules[0].set.workers: expected no workers in a rule for a port or a protocol, because all forwards of a container share it, not 1',
    ],
    [
      '{"rules": [{"match": {"protocol": "udp"}, "set": {"sourceAddress": "proxy-v1"}}]}',
      '1:68: rules[0].set.sourceAddress: expected "proxy-v2" in a rule for UDP, because "proxy-v1" cannot carry datagrams, not "proxy-v1"',
    ],
    [
      '{"defaults": {"acceptProxy": true}}',
      '1:30: defaults.acceptProxy: expected trustedProxies, the trusted load balancers, to be set too, not true',
    ],
    [
      '{"defaults": {"deny": ["10.0.0.0/33"]}}',
      '1:24: defaults.deny[0]: expected an IP address, or a block such as "10.0.0.0/8", not "10.0.0.0/33"',
    ],
    [
      '{"defaults": {"allow": []}}',
      '1:24: defaults.allow: expected an array of 1 to 100,000 addresses or blocks, not []',
    ],
    ['{"defaults": {"workers": 1 "spinMicros": 2}}', '1:28: not JSON: expected a comma'],
    ['{"defaults": {"workers": 1,}}', '1:28: not JSON: expected a key in double quotes'],
    ['{"defaults": {}', '1:16: not JSON: expected a comma or }'],
    [
      '{"defaults": {"workers": 1,\r\n"workers": 2}}',
      '2:1: defaults.workers: expected each key once, but this one is a duplicate',
    ],
  ])('is reported with its place and what was expected: %s', (content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });

  test('is reported with all others, and nothing of the file is used', () => {
    const path = write(
      'two.json',
      '{"defaults": {"workers": 0, "maxFlows": 0, "udpTimeoutMs": 1}}',
    );
    const { file, problems } = loadSettings(path);
    expect(problems.map(({ key }) => key)).toEqual(['defaults.workers', 'defaults.maxFlows']);
    expect(file).toEqual({});
  });
});

describe('what the helper reads without the whole check', () => {
  const require = createRequire(import.meta.url);
  const quick = require('../../lib/settings/quick.cjs') as {
    loadQuickly: (path: string) => Promise<QuickSettings>;
  };

  test.each([
    '',
    '{}',
    '{"$schema": "x", "defaults": {"workers": 1, "log": {"level": "warn"}}}',
    '{"rules": [{"match": {"hostPort": "80-90"}, "set": {"allow": ["::1"]}}]} // comment',
    '{"defaults": {"workers": "two", "nonsense": 1}}',
    '{"defaults": {"maxFlows": 0}}',
    '{"rules": [{"match": {"hostPort": "90-80"}, "set": {}}]}',
    '{"defaults": {"workers": 1, "workers": 1}}',
    '{',
    'null',
  ])('agrees with the whole check on %s', async (content) => {
    const path = write('quick.json', content);
    const { file, gates, problems } = loadSettings(path);
    const read = await quick.loadQuickly(path);
    expect(read).toEqual({
      file,
      gates: problems.length === 0 ? gatesOnly(file) : gates,
      problems: problems.map(describeProblem),
    });
  });
});

describe('the gates of an invalid file', () => {
  const deny = ['10.0.0.0/8'];
  const gatesOf = (content: string | object) => {
    const { file, gates, problems } = loadSettings(write('gates.json', content));
    expect({ file, isRight: problems.length === 0 }).toEqual({ file: {}, isRight: false });
    return gates;
  };

  test('are what is kept of it', () => {
    const match = { hostPort: 80 };
    const rules = [
      { match, set: { maxSessions: 2, workers: 0 } },
      { match: { nobody: 1 }, set: { sourceAddress: 'proxy-v2' } },
    ];
    expect(gatesOf({ other: 1, defaults: { deny, udpTimeoutMs: 'long' }, rules })).toEqual({
      defaults: { deny },
      rules: [{ match, set: { maxSessions: 2 } }],
    });
  });

  test.each<[string, string | object]>([
    ['has a wrong value', { defaults: { deny: ['10.0.0.0/08'] } }],
    ['is for nobody knows whom', { rules: [{ match: { port: 80 }, set: { deny } }] }],
    ['stands in a wrong place', { default: { deny } }],
    ['goes without its other half', { defaults: { acceptProxy: true } }],
    ['is there twice', '{"defaults": {"deny": ["::1"], "deny": []}}'],
    ['stands in what is no JSON', '{ defaults: { deny: ["::1"] } }'],
    ['has no colon', '{"defaults": {"deny" ["::1"]}}'],
    ['has a comment before its colon', '{"defaults": {"deny" /* whom */ : ["::1"]},}'],
    ['stands in a comment without an end', '{ /* why "defaults": {"deny": ["::1"]}}'],
    ['has letters by their numbers', '{"defaults": {"\\u0064eny": ["::1"]},}'],
  ])('cannot be read if one %s', (_, content) => {
    expect(gatesOf(content)).toBeUndefined();
  });

  test('are none if there is no file, or if it has none', () => {
    expect(loadSettings(join(folder, 'missing')).gates).toEqual({});
    expect(loadSettings(folder).gates).toEqual({});
    expect(gatesOf('{ defaults: {} // allow me')).toEqual({});
  });

  test('cannot be read if the file is too long', () => {
    const path = write('long.json', ' '.repeat(1_048_577));
    expect(loadSettings(path).gates).toBeUndefined();
  });
});

describe('rules of a settings file', () => {
  const file: SettingsFile = {
    defaults: { udpTimeoutMs: 1_000, maxFlows: 10, log: { level: 'warn', format: 'text' } },
    rules: [
      { match: { protocol: 'udp' }, set: { maxFlows: 20 } },
      { match: { hostPort: '50-60' }, set: { maxFlows: 30 } },
      { match: { hostPort: 53, protocol: 'udp' }, set: { maxFlows: 40 } },
      { match: { containerId: 'c0f' }, set: { workers: 4, log: { level: 'debug' } } },
    ],
  };

  test.each([
    [{ hostPort: 1, protocol: 'tcp' }, 10],
    [{ hostPort: 1, protocol: 'udp' }, 20],
    [{ hostPort: 50, protocol: 'udp' }, 30],
    [{ hostPort: 60, protocol: 'tcp' }, 30],
    [{ hostPort: 53, protocol: 'udp' }, 40],
    [{ protocol: 'tcp' }, 10],
  ])('apply to the forwards that match, the last one first: %o', (subject, maxFlows) => {
    expect(forwardSettings(file, subject)).toEqual({ udpTimeoutMs: 1_000, maxFlows });
  });

  test('for a container match the beginning of its id, and merge the settings of log', () => {
    expect(forwarderSettings(file, 'c0ffee')).toEqual({
      workers: 4,
      log: { level: 'debug', format: 'text' },
    });
    for (const id of ['ac0ffee', 'c0', undefined]) {
      expect(forwarderSettings(file, id)).toEqual({ log: { level: 'warn', format: 'text' } });
    }
  });

  test('split a range where its ports differ', () => {
    const spec = { host: { port: 49 }, container: { port: 1_049 }, count: 14 };
    const pieces = withSettings(file, [{ ...spec, protocol: 'udp' }], undefined);
    expect(
      pieces.map(({ host, container, count, maxFlows }) => [
        host.port,
        container.port,
        count,
        maxFlows,
      ]),
    ).toEqual([
      [49, 1_049, 1, 20],
      [50, 1_050, 3, 30],
      [53, 1_053, 1, 40],
      [54, 1_054, 7, 30],
      [61, 1_061, 2, 20],
    ]);
  });

  test('for a port do not match one that the kernel will choose', () => {
    const spec = { host: { port: 0 }, container: { port: 80 }, count: 100 };
    expect(withSettings(file, [spec], undefined)).toEqual([
      { ...spec, maxFlows: 10, udpTimeoutMs: 1_000 },
    ]);
  });

  test('do not override what was asked for', () => {
    const spec = { host: { port: 55 }, container: { port: 80 }, maxFlows: 7 };
    expect(withSettings(file, [spec], undefined)[0]?.maxFlows).toBe(7);
  });

  test('give UDP no header of streams, and name load balancers only if they are trusted', () => {
    const both: SettingsFile = {
      defaults: { sourceAddress: 'proxy-v1', trustedProxies: ['::1'] },
      rules: [{ match: { protocol: 'udp' }, set: { acceptProxy: true } }],
    };
    const spec = { host: { port: 55 }, container: { port: 80 } };
    expect(withSettings(both, [spec, { ...spec, protocol: 'udp' }], undefined)).toEqual([
      { ...spec, sourceAddress: 'proxy-v1' },
      { ...spec, protocol: 'udp', acceptProxy: true, trustedProxies: ['::1'] },
    ]);
  });
});

describe('settings and the library’s options', () => {
  const spec = { host: { port: 1 }, container: { port: 1 }, netns: { pid: 1 } };
  const schema = JSON.parse(readFileSync(`${root}docs/settings.schema.json`, 'utf8')) as {
    properties: {
      defaults: { properties: Record<string, { minimum?: number; maximum?: number }> };
    };
  };
  const known = schema.properties.defaults.properties;
  const ranges = Object.entries(known).flatMap(([key, { minimum, maximum }]) =>
    minimum === undefined || maximum === undefined ? [] : [{ key, minimum, maximum }],
  );

  const accepts = (key: string, value: number): boolean => {
    try {
      if (forwarderKeys.includes(key)) resolveOptions({ [key]: value });
      else resolveForwards([{ ...spec, [key]: value }], undefined);
      return true;
    } catch {
      return false;
    }
  };

  test('have ranges', () => expect(ranges.length).toBeGreaterThan(8));

  test.each(ranges)('accept $key from $minimum to $maximum', ({ key, minimum, maximum }) => {
    for (const value of [minimum, maximum, minimum - 1, maximum + 1]) {
      const isRight = problemsOf({ defaults: { [key]: value } }).length === 0;
      expect({ value, isRight }).toEqual({ value, isRight: accepts(key, value) });
    }
  });

  test('have the same options', () => {
    const optionsOf = (name: string): string[] => {
      const [, body = ''] =
        new RegExp(`interface ${name}(?: extends \\w+)? \\{\\n(.*?)^\\}`, 'ms').exec(publicTypes) ??
        [];
      return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, option = '']) => option);
    };
    const elsewhere = [
      'container',
      'count',
      'engine',
      'host',
      'netns',
      'onSessionsEnded',
      'protocol',
      'signal',
    ];
    const options = ['EngineOptions', 'ForwarderOptions', 'ForwardSpec'].flatMap(optionsOf);
    const helper = [...Object.keys(forwarderFields), 'log'];
    expect(
      Object.keys(known)
        .filter((key) => !helper.includes(key))
        .sort(),
    ).toEqual([...new Set(options)].filter((option) => !elsewhere.includes(option)).sort());
  });

  test('have the same defaults', () => {
    const helper = [...Object.keys(forwarderFields), 'log'];
    const builtIn = Object.entries(builtInDefaults()).filter(([key]) => !helper.includes(key));
    const defaults = Object.fromEntries<unknown>(builtIn);
    const { engineOptions } = resolveOptions({});
    const [range] = resolveForwards([spec], undefined);
    const own = Object.entries({ ...engineOptions, ...range?.settings });
    const set = own.filter(([key]) => key in defaults);
    expect(defaults).toEqual(Object.fromEntries(set));
    // What has no default is no limit, and no list.
    const unset = own.filter(([key]) => !(key in defaults));
    for (const [key, value] of unset) {
      expect([key, value]).toEqual([key, Array.isArray(value) ? [] : 0]);
    }
  });
});
