// What is published, and where the addon is looked for once it is installed.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addonPath } from '../../src/engine/addon-path.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);

interface PackedFile {
  readonly path: string;
  readonly mode: number;
}

function packedFiles(): PackedFile[] {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [description] = JSON.parse(output) as [{ files: PackedFile[] }];
  return description.files;
}

function filesUnder(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
}

describe('the package', () => {
  const published = packedFiles();
  const paths = published.map(({ path }) => path).sort();

  test('contains the program, the sources of the addon, the documents, and nothing else', () => {
    const installed = filesUnder('src').filter(
      (file) => !/^src\/(demo|page\/browser)\//.test(file),
    );
    const compiled = installed.flatMap((file) => {
      const stem = file.replace(/^src\//, 'lib/').replace(/\.ts$/, '');
      return [`${stem}.js`, `${stem}.d.ts`];
    });
    const expected = [
      ...compiled,
      ...['lib/engines/podman.cjs', 'lib/control/listen.cjs', 'lib/control/server.cjs'],
      ...['lib/log/forwarder-log.cjs', 'lib/settings/load.cjs', 'lib/settings/quick.cjs'],
      'lib/page/index.html',
      ...['lib/resident/main.cjs', 'lib/resident/main.program.cjs'],
      // Pictures would be a quarter of it.
      ...['docs', 'libexec/own-process', 'native', 'prebuilds']
        .flatMap(filesUnder)
        .filter((file) => !file.startsWith('docs/images/')),
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'binding.gyp', 'package.json'],
      ...['code-cache', 'helper', 'install', 'node-path'].map((name) => `scripts/${name}.mjs`),
      'libexec/rootlesskit-child',
      'sources.gypi',
    ];
    expect(paths).toEqual(expected.sort());
  });

  test('contains every file that its files import or link to', () => {
    const links = { js: /(?:from|import\(|import) ?'(\.[^']+)'/g, md: /\]\((?!\w+:)([^)#]+)/g };
    const missing = paths.flatMap((path) => {
      const pattern = path.endsWith('.md') ? links.md : links.js;
      if (!/\.(js|d\.ts|md)$/.test(path)) return [];
      return [...readFileSync(join(root, path), 'utf8').matchAll(pattern)]
        .map(([, to = '']) => join(dirname(path), to))
        .filter((to) => !to.startsWith('docs/images/'))
        .filter((to) => !paths.includes(to) && !paths.some((file) => file.startsWith(`${to}/`)))
        .map((to) => `${path} -> ${to}`);
    });
    expect(missing).toEqual([]);
  });

  test('does not contain the path of the node that built it', () => {
    expect(paths).not.toContain('lib/node-path');
  });

  test('keeps the files executable that container engines run', () => {
    const executables = published.filter(({ path }) => path.startsWith('libexec/'));
    expect(executables.map(({ path }) => path)).toEqual([
      ...['docker-proxy', 'rootlessport'].map((name) => `libexec/own-process/${name}`),
      'libexec/rootlesskit-child',
    ]);
    for (const { mode } of executables) expect(mode & 0o111).toBe(0o111);
  });
});

describe('npm', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'spliceport-npm-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  test('links the manual page and the command of a global install', () => {
    const source = join(folder, 'source');
    const manifest = require('../../package.json') as Record<string, unknown>;
    mkdirSync(source);
    // What it depends on takes a registry, and npm's rule for links does not look at it.
    writeFileSync(
      join(source, 'package.json'),
      JSON.stringify({ ...manifest, scripts: {}, dependencies: {}, devDependencies: {} }),
    );
    for (const path of ['docs/spliceport.1', 'lib/cli/main.js']) {
      cpSync(join(root, path), join(source, path));
    }
    const options = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
    execFileSync('npm', ['install', '--global', '--prefix', folder, ...options, source], {
      stdio: 'ignore',
      env: { ...process.env, npm_config_cache: join(folder, 'cache') },
    });
    expect(existsSync(join(folder, 'share/man/man1/spliceport.1'))).toBe(true);
    expect(existsSync(join(folder, 'bin/spliceport'))).toBe(true);
  });
});

describe('an install without the addon', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-bare-'));
  beforeAll(() => {
    const scripts = ['code-cache', 'helper', 'install', 'node-path'].map(
      (name) => `scripts/${name}.mjs`,
    );
    for (const path of ['lib', 'libexec/own-process', 'package.json', ...scripts]) {
      cpSync(join(root, path), join(folder, path), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const run = (...args: string[]) =>
    spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });

  test('prints one line with the fix', () => {
    const { status, stderr } = run('lib/cli/main.js', 'ls');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^spliceport: cannot load the addon: No native build .*; "npm rebuild spliceport" compiles it, .*\n$/,
    );
  });

  test('runs the helper in a process of its own', () => {
    run('scripts/helper.mjs');
    const [script, executed] = ['libexec/own-process/rootlessport', 'libexec/rootlessport'];
    expect(readFileSync(join(folder, executed))).toEqual(readFileSync(join(root, script)));
    expect(statSync(join(folder, executed)).mode & 0o777).toBe(0o755);
  });

  test('takes a prebuilt helper', () => {
    const prebuilt = join(folder, `prebuilds/linux-${process.arch}`);
    mkdirSync(prebuilt, { recursive: true });
    writeFileSync(join(prebuilt, 'rootlessport'), 'a program');
    run('scripts/helper.mjs');
    rmSync(join(folder, 'prebuilds'), { recursive: true });
    const placed = join(folder, 'libexec/rootlessport');
    expect(readFileSync(placed, 'utf8')).toBe('a program');
    expect(statSync(placed).mode & 0o777).toBe(0o755);
  });

  test('prints what the compiler needs, if it fails', () => {
    const { status, stderr } = run('scripts/install.mjs');
    expect(status).not.toBe(0);
    expect(stderr).toMatch(
      /spliceport: the addon was not compiled\. .*apt-get install g\+\+ make/s,
    );
  });
});

test('the types compile for the oldest Node, without types of Node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-types-'));
  const program = ['index', 'control/index'].map(
    (name) => `export * from '${root}lib/${name}.js';\n`,
  );
  writeFileSync(join(folder, 'program.mts'), program.join(''));
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, types: [] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  const tsc = require.resolve('typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '--noEmit', '-p', folder], {
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true });
  expect(stdout).toBe('');
});

test('the command of a checkout can be run through a link', () => {
  expect(statSync(join(root, 'lib/cli/main.js')).mode & 0o111).toBe(0o111);
});

describe('the addon', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'spliceport-package-'));
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const place = (path: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  };
  const compiled = 'build/Release/spliceport.node';

  /** Runs the package's own prebuild command, with a compiler that writes an empty file. */
  function prebuild(): string {
    const { scripts } = require('../../package.json') as { scripts: { prebuild: string } };
    const [program = '', ...args] = (scripts.prebuild.split(' && ')[0] ?? '').split(' ');
    writeFileSync(
      join(folder, 'compiler'),
      `#!/bin/sh\nmkdir -p build/Release && : > ${compiled}\n`,
      { mode: 0o755 },
    );
    execFileSync(join(root, 'node_modules/.bin', program), args, {
      cwd: folder,
      stdio: 'ignore',
      env: {
        ...process.env,
        PREBUILD_NODE_GYP: join(folder, 'compiler'),
        PREBUILD_STRIP_BIN: 'true',
      },
    });
    const [name = ''] = readdirSync(join(folder, `prebuilds/linux-${process.arch}`));
    return `prebuilds/linux-${process.arch}/${name}`;
  }

  /**
   * What a process finds that starts with the given settings; node-gyp-build reads them when it is
   * loaded.
   */
  function foundWith(env: NodeJS.ProcessEnv): string {
    const script = `import('${root}lib/engine/addon-path.js').then((m) => console.log(m.addonPath('${folder}')))`;
    const output = execFileSync(process.execPath, ['-e', script], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    return resolve(output.trim());
  }

  test('is found where prebuildify puts it', () => {
    const prebuilt = prebuild();
    expect(existsSync(join(folder, compiled))).toBe(false);
    expect(resolve(addonPath(folder))).toBe(join(folder, prebuilt));
  });

  test('is the compiled one if there are both', () => {
    prebuild();
    place(compiled);
    expect(resolve(addonPath(folder))).toBe(join(folder, compiled));
  });

  test('is the prebuilt one if there are both and PREBUILDS_ONLY is set', () => {
    const prebuilt = prebuild();
    place(compiled);
    expect(foundWith({ PREBUILDS_ONLY: '1' })).toBe(join(folder, prebuilt));
  });

  test('is found by node-gyp-build in a place that only node-gyp-build knows', () => {
    place('build/Debug/spliceport.node');
    expect(resolve(addonPath(folder))).toBe(join(folder, 'build/Debug/spliceport.node'));
  });

  test.each(['compiled', 'prebuilt', 'both'])(
    'is the one that node-gyp-build finds: %s',
    (which) => {
      if (which !== 'compiled') prebuild();
      if (which !== 'prebuilt') place(compiled);
      const nodeGypBuild = require('node-gyp-build') as { path: (folder: string) => string };
      expect(resolve(addonPath(folder))).toBe(nodeGypBuild.path(folder));
    },
  );

  test('is reported as missing with the place where it should be', () => {
    expect(() => addonPath(folder)).toThrow(folder);
  });
});
