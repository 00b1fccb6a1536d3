// JSON as the helper reads it: it is what JSON.parse says that it is, whatever it looks like.

import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { decodeConfig } from '../../src/engines/podman/config.js';
import {
  elementsOf,
  membersOf,
  parseJson,
  stringOf,
  type JsonSource,
} from '../../src/engines/podman/go-json.js';
import { damage, makeJson, spellString } from '../helpers/random-json.js';
import { Random } from '../helpers/random.js';

const seeds = Array.from({ length: 2_000 }, (_, index) => index + 1);

/** The value, put together from its parts. */
function valueOf(source: JsonSource): unknown {
  switch (source.kind) {
    case 'array':
      return [...elementsOf(source)].map(valueOf);
    case 'object':
      return Object.fromEntries(
        [...membersOf(source)].map(({ key, value }) => [key, valueOf(value)]),
      );
    case 'string':
      return stringOf(source.text);
    case 'number':
      return Number(source.text);
    case 'bool':
      return source.text === 'true';
    case 'null':
      return null;
  }
}

interface Outcome {
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
}

/** What comes of reading it: a value, or the kind of error and what it says. */
function outcomeOf(read: () => unknown): Outcome {
  try {
    return { value: read() };
  } catch (error) {
    const { name, message } = error as Error;
    return { error: name, message };
  }
}

describe('any JSON', () => {
  // isDeepStrictEqual knows a member that is named __proto__, unlike vitest's comparison.
  test('is read as JSON.parse reads it', () => {
    for (const seed of seeds) {
      const text = makeJson(new Random(seed));
      if (isDeepStrictEqual(valueOf(parseJson(text)), JSON.parse(text))) continue;
      expect.fail(`seed ${seed}: ${text}`);
    }
  });

  test('is rejected when it is damaged, if JSON.parse rejects it', () => {
    let refused = 0;
    for (const seed of seeds) {
      const random = new Random(seed);
      const text = damage(random, makeJson(random));
      const expected = outcomeOf(() => JSON.parse(text));
      const outcome = outcomeOf(() => valueOf(parseJson(text)));
      if (!isDeepStrictEqual(outcome, expected)) expect.fail(`seed ${seed}: ${text}`);
      if (expected.error !== undefined) refused++;
    }
    expect(refused).toBeGreaterThan(200);
    expect(refused).toBeLessThan(1_800);
  });

  test.for([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const)('may be nested ten thousand times in %s, and no deeper', ([open, close]) => {
    const nested = (depth: number) =>
      `${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}`;
    expect(parseJson(nested(10_000)).text).toHaveLength(nested(10_000).length);
    expect(() => parseJson(nested(10_001))).toThrow(SyntaxError);
    expect(() => parseJson(nested(1_000_000))).toThrow(SyntaxError);
  });

  test('may be long', () => {
    const list = `[${'"\\\\",'.repeat(200_000)}{}]`;
    expect([...elementsOf(parseJson(list))]).toHaveLength(200_001);
  });
});

/** Fields of the configuration, with values that are right for them. */
const fields = {
  NetNSPath: ['netnsPath', ['', '/run/netns/a', '\ud83d']],
  ExitFD: ['exitFd', [0, 3, -1, 2 ** 31]],
  ReadyFD: ['readyFd', [0, 4, 1_000]],
  TmpDir: ['folder', ['', '/tmp']],
  ChildIP: ['containerAddress', ['', '10.0.2.100', '::1']],
  ContainerID: ['containerId', ['', 'c0ffee']],
  RootlessCNI: ['wantsReloadSocket', [true, false]],
} as const;
const names = Object.keys(fields) as (keyof typeof fields)[];
const mismatch =
  /^json: cannot unmarshal .+ into Go (?:struct field (?:Config|PortMapping)|value)\b.+$/;
const mappingNames = ['host_ip', 'container_port', 'host_port', 'range', 'protocol', 'hostPort'];

describe('a configuration', () => {
  test('is read whatever the case and the spelling of its keys, and the last of equal keys counts', () => {
    for (const seed of seeds) {
      const random = new Random(seed);
      const expected: Record<string, unknown> = { ...decodeConfig(Buffer.from('{}')) };
      const members = Array.from({ length: random.below(12) }, () => {
        if (random.once(4)) return `"other":${makeJson(random)}`;
        const name = random.pick(names);
        const [property, values] = fields[name];
        const value = random.pick<string | number | boolean>(values);
        const key = random.pick([name, name.toLowerCase(), name.toUpperCase()]);
        // null leaves what is there.
        if (random.once(5)) return `${spellString(random, key)}:null`;
        expected[property] = value;
        const text = typeof value === 'string' ? spellString(random, value) : String(value);
        return `${spellString(random, key)} : ${text}`;
      });
      const text = `{${members.join(',')}}`;
      expect(decodeConfig(Buffer.from(text)), `seed ${seed}`).toStrictEqual(expected);
    }
  });

  test('of any other form is rejected in one line that names the place', () => {
    const refused = { SyntaxError: 0, TypeError: 0 };
    for (const seed of seeds) {
      const random = new Random(seed);
      const inner = makeJson(random, [...mappingNames, ...names]);
      const whole = random.pick([
        `{"Mappings":[${inner}]}`,
        `{"Mappings":[{"host_port":${inner}}]}`,
        `{${spellString(random, random.pick(names))}:${inner}}`,
      ]);
      const text = random.once(4) ? damage(random, whole) : whole;
      const { error, message } = outcomeOf(() => decodeConfig(Buffer.from(text)));
      if (error === undefined) continue;
      expect(error, `seed ${seed}`).toMatch(/^(?:SyntaxError|TypeError)$/);
      refused[error as keyof typeof refused]++;
      if (error === 'TypeError') expect(message, `seed ${seed}`).toMatch(mismatch);
    }
    expect(refused.SyntaxError).toBeGreaterThan(100);
    expect(refused.TypeError).toBeGreaterThan(100);
  });

  test('of random bytes is rejected as not being JSON', () => {
    for (const seed of seeds) {
      const random = new Random(seed);
      const size = 1 + random.below(40);
      const bytes = Buffer.from(Array.from({ length: size }, () => random.below(256)));
      const expected = outcomeOf(() => JSON.parse(bytes.toString('utf8')));
      if (expected.error === undefined) continue;
      expect(
        outcomeOf(() => decodeConfig(bytes)),
        `seed ${seed}`,
      ).toEqual(expected);
    }
  });
});
