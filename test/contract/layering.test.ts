// Holds every #include of native/ and every import of src/ against the table in docs/architecture.md: a file uses its
// own level and what is before it. A file that the table does not name fails too.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The levels of native/ or src/, lowest first, as the page draws them. */
function documentedLevels(folder: 'native' | 'src'): string[][] {
  const page = read('docs/architecture.md');
  const drawn = new RegExp(`^ {4}${folder}:(.*(?:\\n {13}.*)*)`, 'm').exec(page)?.[1] ?? '';
  return drawn.split('←').map((level) => level.split(',').map((name) => name.trim()));
}

const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const nativeLevels = documentedLevels('native');
const sourceLevels = documentedLevels('src');

/** The files of native/binding/, which may use each other and every level. */
const bindingFiles = ['addon', 'callback', 'convert', 'engine_wrap', 'fd_watcher', 'sockets'];

/** What a folder of src/ may use besides itself: proof that the public API is enough. */
// The last has no state and no imports, so a bundle may have a copy of it.
const publicModules = ['../index.js', '../system.js', '../unix-listener.js', '../address.js'];

/** What single folders may use beyond that: other folders, and packages. */
const furtherImports: Readonly<Record<string, readonly string[]>> = {
  api: ['../rootlessport/', 'prom-client', 'spliceport/package.json', 'zod/'],
  cli: ['../api/', '../log/', '../settings/', 'cli-table3', 'commander'],
  log: ['pino'],
  rootlessport: ['../api/', '../log/', '../settings/'],
  settings: ['jsonc-parser', 'zod/'],
};
const nodeHeaders = /^(napi|node|node_api|js_native_api|uv|v8)\b/;

function levelOf(levels: readonly (readonly string[])[], name: string): number {
  return levels.findIndex((level) => level.includes(name));
}

function upward(levels: readonly (readonly string[])[], from: string, to: string): string[] {
  const [user, used] = [levelOf(levels, from), levelOf(levels, to)];
  if (user === -1) return [`${from} is in no level`];
  if (used === -1) return [`${from} uses ${to}, which is in no level`];
  return used > user ? [`${from} uses ${to}, which is above it`] : [];
}

function nativeViolations(path: string, text: string): string[] {
  const inBinding = path.startsWith('native/binding/');
  const name = path.replace(/^native\//, '').replace(/\.(cc|h)$/, '');
  const system = [...text.matchAll(/^#include <([^>]+)>/gm)].map(([, header = '']) => header);
  const own = [...text.matchAll(/^#include "([^"]+)\.h"/gm)].map(([, header = '']) => header);
  if (inBinding) {
    return [name.replace(/^binding\//, ''), ...own]
      .filter((used) => !bindingFiles.includes(used) && levelOf(nativeLevels, used) === -1)
      .map((unknown) => `${name} uses ${unknown}, which is in no level`);
  }
  return [
    ...system
      .filter((header) => nodeHeaders.test(header))
      .map((header) => `${name} includes ${header}; only native/binding/ knows Node`),
    ...[name, ...own].flatMap((header) => upward(nativeLevels, name, header)),
  ];
}

function importsOf(text: string): string[] {
  const form = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*'([^']+)'/g;
  return [...text.matchAll(form)].map(([, specifier = '']) => specifier);
}

function sourceViolations(path: string, text: string): string[] {
  const name = path.replace(/^src\//, '').replace(/\.ts$/, '');
  const inFolder = name.includes('/');
  const refusals = inFolder ? [] : upward(sourceLevels, name, name);
  const further = furtherImports[name.split('/')[0] ?? ''] ?? [];
  for (const specifier of importsOf(text)) {
    const isGranted = further.some((each) =>
      each.endsWith('/') ? specifier.startsWith(each) : specifier === each,
    );
    if (inFolder && isGranted) continue;
    if (specifier.startsWith('node:')) {
      if (name === 'types') refusals.push('types imports nothing');
    } else if (!specifier.startsWith('.')) {
      if (name !== 'addon-path' || specifier !== 'node-gyp-build')
        refusals.push(`${name} imports ${specifier}`);
    } else if (!inFolder) {
      refusals.push(
        ...upward(sourceLevels, name, specifier.replace(/^\.\//, '').replace(/\.js$/, '')),
      );
    } else if (!specifier.startsWith('./') && !publicModules.includes(specifier)) {
      refusals.push(
        `${name} imports ${specifier}; a folder uses itself, index, system and address`,
      );
    }
  }
  return refusals;
}

function filesOf(folder: string, extension: RegExp): string[] {
  if (!existsSync(`${root}${folder}`)) return [];
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((file) => extension.test(file))
    .map((file) => `${folder}/${file}`);
}

describe('the rule itself', () => {
  test.each([
    ['native/pipe.h', '#include "tcp_session.h"'],
    ['native/engine.cc', '#include <napi.h>'],
    ['native/engine.cc', '#include <uv.h>'],
    ['native/novelty.cc', ''],
    ['native/engine.cc', '#include "convert.h"'],
    ['native/binding/addon.cc', '#include "novelty.h"'],
  ])('refuses %s with %s', (path, text) => {
    expect(nativeViolations(path, text)).not.toEqual([]);
  });

  test.each([
    ['src/types.ts', "import { readFileSync } from 'node:fs';"],
    ['src/errors.ts', "import { binding } from './binding.js';"],
    ['src/forwarder.ts', "import type { X } from './rootlessport/config.js';"],
    ['src/rootlessport/main.ts', "import { binding } from '../binding.js';"],
    ['src/api/server.ts', "const { run } = await import('../demo/main.js');"],
    ['src/demo/main.ts', "export * from 'left-pad';"],
    ['src/demo/main.ts', "import { Command } from 'commander';"],
    ['src/cli/main.ts', "import { run } from '../demo/main.js';"],
    ['src/novelty.ts', ''],
  ])('refuses %s with %s', (path, text) => {
    expect(sourceViolations(path, text)).not.toEqual([]);
  });

  test('lets a file use its own level and what is below', () => {
    expect(nativeViolations('native/pump.cc', '#include <errno.h>\n#include "reactor.h"')).toEqual(
      [],
    );
    expect(
      nativeViolations('native/binding/addon.cc', '#include <napi.h>\n#include "engine.h"'),
    ).toEqual([]);
    expect(
      sourceViolations(
        'src/demo/main.ts',
        "import { a } from './b.js';\nimport { c } from '../index.js';",
      ),
    ).toEqual([]);
    expect(sourceViolations('src/validate.ts', "import { a } from './netns.js';")).toEqual([]);
  });
});

describe('the files', () => {
  test.each(filesOf('native', /\.(cc|h)$/))(
    '%s includes only its own level and what is below',
    (path) => {
      expect(nativeViolations(path, read(path))).toEqual([]);
    },
  );

  test.each(filesOf('src', /\.ts$/))('%s imports only its own level and what is below', (path) => {
    expect(sourceViolations(path, read(path))).toEqual([]);
  });

  test('sources.gypi names every source of native/ once, and no other', () => {
    const named = [...read('sources.gypi').matchAll(/'(native\/[^']+\.cc)'/g)].map(
      ([, path]) => path,
    );
    expect(named).toEqual([...new Set(named)]);
    expect(named.sort()).toEqual(filesOf('native', /\.cc$/).sort());
  });
});
