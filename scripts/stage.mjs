// stage.mjs: the folder with what a package of a distribution installs, from what is built here.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import './build.mjs';
import { dockerProxyPath, programPath } from './helper.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
/** Where packages go. */
export const target = resolve(process.argv[2] ?? join(root, 'dist'));
export const description = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
export const addon = join(root, 'build/Release/spliceport.node');
if (![addon, join(root, programPath)].every((file) => existsSync(file))) {
  throw new Error('the addon or the helper is not built: npm run build:native');
}

/** Everything under it goes to /. */
export const stage = mkdtempSync(join(tmpdir(), 'spliceport-stage-'));
chmodSync(stage, 0o755);
const home = 'usr/lib/spliceport';
export const run = (command, ...args) =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8' });

/** Writes a file of the package. */
export function put(path, content, mode = 0o644) {
  const file = join(stage, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** Copies a file or a folder of this checkout, which all may read. */
export function copy(from, to, filter = () => true) {
  const file = join(stage, to);
  mkdirSync(dirname(file), { recursive: true });
  cpSync(from, file, { recursive: true, dereference: true, filter });
  run('chmod', '-R', 'u=rwX,go=rX', file);
}

function link(path, to) {
  mkdirSync(join(stage, dirname(path)), { recursive: true });
  symlinkSync(to, join(stage, path));
}

export const compressed = (path) => gzipSync(readFileSync(join(root, path)), { level: 9 });

/** The program, with what it loads. */
export function putProgram() {
  const isOfUsers = (file) =>
    !/\/lib\/(demo(\/|$)|node-path$|.*\.cache$)/.test(file) && !file.endsWith('.d.ts');
  copy(join(root, 'lib'), `${home}/lib`, isOfUsers);
  put(`${home}/lib/node-path`, '/usr/bin/node\n');
  copy(join(root, 'libexec'), `${home}/libexec`);
  copy(join(root, 'package.json'), `${home}/package.json`);
  const prebuilt = `${home}/prebuilds/linux-${process.arch}/spliceport.glibc.node`;
  copy(addon, prebuilt);
  run('strip', '--strip-unneeded', join(stage, prebuilt));
  chmodSync(join(stage, prebuilt), 0o644);
  run('strip', join(stage, home, programPath));
  rmSync(join(stage, home, dockerProxyPath));
  linkSync(join(stage, home, programPath), join(stage, home, dockerProxyPath));
  // What only compiles the addon is left out, and what only developers of the libraries read.
  const [, ...modules] = run('npm', 'ls', '--omit=dev', '--all', '--parseable').trim().split('\n');
  const isRun = (file) =>
    statSync(file).isDirectory()
      ? !/\/(\.github|benchmarks?|docs|examples?|test|tests)$/.test(file)
      : /(\.[cm]?js|\.json|\/licen[cs]e[^/]*)$/i.test(file);
  for (const folder of modules.filter((path) => basename(path) !== 'node-addon-api')) {
    copy(folder, `${home}/${relative(root, folder)}`, isRun);
  }
  link('usr/bin/spliceport', `../lib/spliceport/lib/cli/main.js`);
  link('usr/libexec/spliceport', '../lib/spliceport/libexec');
}

/**
 * What is read by people, shells and systemd. @param zsh - The folder of zsh's completions, below
 * /usr/share/zsh.
 */
export function putDocuments(zsh) {
  const docs = 'usr/share/doc/spliceport';
  for (const name of readdirSync(join(root, 'docs')).filter((each) => !each.endsWith('.1'))) {
    copy(join(root, 'docs', name), `${docs}/${name}`);
  }
  copy(join(root, 'SECURITY.md'), `${docs}/SECURITY.md`);
  put(`${docs}/changelog.gz`, compressed('CHANGELOG.md'));
  put('usr/share/man/man1/spliceport.1.gz', compressed('docs/spliceport.1'));
  const units = join(root, 'packaging/systemd');
  for (const unit of readdirSync(units)) copy(join(units, unit), `usr/lib/systemd/user/${unit}`);
  const scripts = {
    bash: 'bash-completion/completions/spliceport',
    zsh: `zsh/${zsh}/_spliceport`,
    fish: 'fish/vendor_completions.d/spliceport.fish',
  };
  for (const [shell, path] of Object.entries(scripts)) {
    put(`usr/share/${path}`, run(process.execPath, 'lib/cli/main.js', 'completion', shell));
  }
}
