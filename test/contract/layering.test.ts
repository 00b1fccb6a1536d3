// Holds every #include of native/ and every import of src/ against the table in
// docs/architecture.md: a file uses its own folder and the levels before it. A file that the table
// does not name fails too.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');

/**
 * The levels of native/ or src/, lowest first, as the page draws them: folders end with a slash.
 */
function documentedLevels(folder: 'native' | 'src'): string[][] {
  const page = read('docs/architecture.md');
  const drawn = new RegExp(`^ {4}${folder}:(.*(?:\\n {13}.*)*)`, 'm').exec(page)?.[1] ?? '';
  return drawn.split('←').map((level) => level.split(',').map((name) => name.trim()));
}

const levels = { native: documentedLevels('native'), src: documentedLevels('src') };

/**
 * Of what lies under src/'s root, what a folder above the library may use: proof that the public
 * API is enough.
 */
const publicModules = [
  ...[
    'index',
    'operations',
    'system',
    'unix-listener',
    'address',
    'errno',
    'paint',
    'sysctl',
    'util',
  ],
  // Tables of data, without imports.
  ...['spec/fields', 'spec/counters'],
];

/** The packages that parts of src/ may use. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'cli/': ['commander', 'smol-toml'],
  'control/': ['prom-client', 'spliceport/package.json', 'zod/'],
  'engine/': ['node-gyp-build'],
  'log/': ['pino'],
  'page/': ['preact', 'preact/hooks'],
  'resident/': ['spliceport/package.json'],
  'schema/': ['zod/'],
  'settings/': ['jsonc-parser', 'zod/'],
};
const nodeHeaders = /^(napi|node|node_api|js_native_api|uv|v8)\b/;

/** The folder of a path below native/ or src/, with a slash; or the file, where it is in none. */
function unitOf(path: string): string {
  const slash = path.indexOf('/');
  return slash === -1 ? path : path.slice(0, slash + 1);
}

/**
 * What is wrong with one file's use of another; both are paths below native/ or src/, without
 * endings.
 */
function upward(tree: 'native' | 'src', from: string, to: string): string[] {
  const levelOf = (unit: string) => levels[tree].findIndex((level) => level.includes(unit));
  const [user, used] = [unitOf(from), unitOf(to)];
  if (levelOf(user) === -1) return [`${from} is in no level`];
  if (levelOf(used) === -1) return [`${from} uses ${to}, which is in no level`];
  if (user === used || levelOf(used) < levelOf(user)) return [];
  const areFiles = !user.endsWith('/') && !used.endsWith('/');
  if (areFiles && levelOf(used) === levelOf(user)) return [];
  return [`${from} uses ${to}, which is not below it`];
}

function includesOf(text: string): string[] {
  return [...text.matchAll(/^#include "([^"]+)\.h"/gm)].map(([, header = '']) => header);
}

function nativeViolations(path: string, text: string): string[] {
  const name = path.replace(/^native\//, '').replace(/\.(cc|h)$/, '');
  const system = [...text.matchAll(/^#include <([^>]+)>/gm)].map(([, header = '']) => header);
  return [
    ...system
      .filter((header) => !name.startsWith('binding/') && nodeHeaders.test(header))
      .map((header) => `${name} includes ${header}; only native/binding/ knows Node`),
    ...[name, ...includesOf(text)].flatMap((header) => upward('native', name, header)),
  ];
}

function importsOf(text: string): string[] {
  const form = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*'([^']+)'/g;
  return [...text.matchAll(form)].map(([, specifier = '']) => specifier);
}

/** Whether a file is above the library, and so sees of its root what is public. */
function isAbove(name: string): boolean {
  const levelOf = (unit: string) => levels.src.findIndex((level) => level.includes(unit));
  return levelOf(unitOf(name)) > levelOf('index');
}

function sourceViolations(path: string, text: string): string[] {
  const name = path.replace(/^src\//, '').replace(/\.tsx?$/, '');
  const granted = packages[unitOf(name)] ?? [];
  const violations = upward('src', name, name);
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith('node:')) {
      if (unitOf(name) === 'types/') violations.push('types/ imports only itself');
    } else if (!specifier.startsWith('.')) {
      const may = granted.some((each) =>
        each.endsWith('/') ? specifier.startsWith(each) : specifier === each,
      );
      if (!may) violations.push(`${name} imports ${specifier}`);
    } else {
      const used = posix.join(posix.dirname(name), specifier).replace(/\.js$/, '');
      const isOfLibrary =
        ['types/', 'spec/', 'engine/'].includes(unitOf(used)) || !used.includes('/');
      if (isAbove(name) && isOfLibrary && !publicModules.includes(used)) {
        violations.push(`${name} imports ${used}; it may use ${publicModules.join(', ')}`);
      } else {
        violations.push(...upward('src', name, used));
      }
    }
  }
  return violations;
}

function filesOf(folder: string, extension: RegExp): string[] {
  if (!existsSync(`${root}${folder}`)) return [];
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((file) => extension.test(file))
    .map((file) => `${folder}/${file}`);
}

/** A way from a file back to itself, by what each uses. */
function circleIn(uses: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const used of uses.get(name) ?? []) {
      const circle = visit(used, [...way, name]);
      if (circle) return circle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of uses.keys()) {
    const circle = visit(name, []);
    if (circle) return circle;
  }
  return undefined;
}

describe('the rule of layers', () => {
  test.each([
    ['native/relay/pipe.h', '#include "tcp/tcp_session.h"'],
    ['native/engine/engine.cc', '#include <napi.h>'],
    ['native/engine/engine.cc', '#include <uv.h>'],
    ['native/novelty.cc', ''],
    ['native/engine/engine.cc', '#include "binding/convert.h"'],
    ['native/binding/addon.cc', '#include "novelty.h"'],
    ['native/udp/udp_forward.h', '#include "tcp/tcp_session.h"'],
    ['native/tcp/tcp_session.h', '#include "tcp_forward.h"'],
  ])('rejects %s with %s', (path, text) => {
    expect(nativeViolations(path, text)).not.toEqual([]);
  });

  test.each([
    ['src/types/session.ts', "import { readFileSync } from 'node:fs';"],
    ['src/errors.ts', "import { binding } from './engine/binding.js';"],
    ['src/spec/validate.ts', "import { binding } from '../engine/binding.js';"],
    ['src/forwarder.ts', "import type { X } from './engines/podman/config.js';"],
    ['src/engines/podman/main.ts', "import { binding } from '../../engine/binding.js';"],
    ['src/engines/podman/main.ts', "import { Forwarder } from '../../forwarder.js';"],
    ['src/control/server.ts', "const { run } = await import('../demo/main.js');"],
    ['src/rootlesskit/ports.ts', "import { Config } from '../engines/podman/config.js';"],
    ['src/log/log.ts', "import { Server } from '../control/server.js';"],
    ['src/demo/main.ts', "export * from 'left-pad';"],
    ['src/demo/main.ts', "import { Command } from 'commander';"],
    ['src/cli/main.ts', "import { run } from '../demo/main.js';"],
    ['src/page/browser/app.tsx', "import { print } from '../../cli/output.js';"],
    ['src/novelty.ts', ''],
  ])('rejects %s with %s', (path, text) => {
    expect(sourceViolations(path, text)).not.toEqual([]);
  });

  test('allows a file to use its own folder and the levels below', () => {
    expect(
      nativeViolations('native/relay/pump.cc', '#include <errno.h>\n#include "relay/reactor.h"'),
    ).toEqual([]);
    expect(
      nativeViolations(
        'native/binding/addon.cc',
        '#include <napi.h>\n#include "engine/engine.h"\n#include "binding/convert.h"',
      ),
    ).toEqual([]);
    expect(
      sourceViolations(
        'src/cli/commands/ls.ts',
        "import { a } from '../text/table.js';\nimport { c } from '../../index.js';\nimport { d } from '../../control/types.js';",
      ),
    ).toEqual([]);
    expect(sourceViolations('src/spec/validate.ts', "import { a } from './netns.js';")).toEqual([]);
    expect(sourceViolations('src/hints.ts', "import { a } from './errors.js';")).toEqual([]);
  });

  test('finds a circle of includes', () => {
    const uses = new Map([
      ['a', ['b', 'c']],
      ['b', []],
      ['c', ['d']],
      ['d', ['c']],
    ]);
    expect(circleIn(uses)).toEqual(['c', 'd', 'c']);
    uses.set('d', []);
    expect(circleIn(uses)).toBeUndefined();
  });
});

describe('every file', () => {
  test.each(filesOf('native', /\.(cc|h)$/))(
    '%s includes only its own folder and what is below',
    (path) => {
      expect(nativeViolations(path, read(path))).toEqual([]);
    },
  );

  test.each(filesOf('src', /\.tsx?$/))(
    '%s imports only its own folder and what is below',
    (path) => {
      expect(sourceViolations(path, read(path))).toEqual([]);
    },
  );

  test('has a name of its own, apart from entry points', () => {
    const paths = [...filesOf('native', /\.(cc|h)$/), ...filesOf('src', /\.ts$/)];
    const names = paths
      .map((path) => posix.basename(path))
      .filter((name) => !['index.ts', 'main.ts'].includes(name));
    expect(names.length).toBeGreaterThan(200);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test('no headers of native/ include each other in a circle', () => {
    const headers = filesOf('native', /\.h$/);
    const uses = new Map(
      headers.map((path) => [path, includesOf(read(path)).map((used) => `native/${used}.h`)]),
    );
    expect(uses.size).toBeGreaterThan(50);
    expect(circleIn(uses)).toBeUndefined();
  });

  test('sources.gypi names every source of native/ once, and no other', () => {
    const named = [...read('sources.gypi').matchAll(/'(native\/[^']+\.cc)'/g)].map(
      ([, path]) => path,
    );
    expect(named).toEqual([...new Set(named)]);
    expect(named.sort()).toEqual(filesOf('native', /\.cc$/).sort());
  });
});
