// deb.mjs: `npm run deb [-- FOLDER]`: makes a Debian package of what is built here, for this
// architecture, in FOLDER (default: dist). Needs dpkg-dev. The package runs on Debian's own nodejs.

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

const root = fileURLToPath(new URL('..', import.meta.url));
const target = resolve(process.argv[2] ?? join(root, 'dist'));
const description = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const addon = join(root, 'build/Release/spliceport.node');
if (![addon, join(root, programPath)].every((file) => existsSync(file))) {
  throw new Error('the addon or the helper is not built: npm run build:native');
}

const stage = mkdtempSync(join(tmpdir(), 'spliceport-deb-'));
chmodSync(stage, 0o755);
const home = 'usr/lib/spliceport';
/** The number behind the dash says how often this version was packaged. */
const version = `${description.version}-1`;
const maintainer = 'The spliceport maintainers <maintainers@spliceport.invalid>';

const run = (command, ...args) => execFileSync(command, args, { cwd: root, encoding: 'utf8' });

/** Writes a file of the package. */
function put(path, content, mode = 0o644) {
  const file = join(stage, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** Copies a file or a folder of this checkout, which all may read. */
function copy(from, to, filter = () => true) {
  const file = join(stage, to);
  mkdirSync(dirname(file), { recursive: true });
  cpSync(from, file, { recursive: true, dereference: true, filter });
  run('chmod', '-R', 'u=rwX,go=rX', file);
}

function link(path, to) {
  mkdirSync(join(stage, dirname(path)), { recursive: true });
  symlinkSync(to, join(stage, path));
}

const compressed = (path) => gzipSync(readFileSync(join(root, path)), { level: 9 });

function putProgram() {
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

function putDocuments() {
  const docs = 'usr/share/doc/spliceport';
  for (const name of readdirSync(join(root, 'docs')).filter((each) => !each.endsWith('.1'))) {
    copy(join(root, 'docs', name), `${docs}/${name}`);
  }
  copy(join(root, 'SECURITY.md'), `${docs}/SECURITY.md`);
  put(`${docs}/changelog.gz`, compressed('CHANGELOG.md'));
  const entry = `spliceport (${version}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- ${maintainer}  ${run('date', '-R')}`;
  put(`${docs}/changelog.Debian.gz`, gzipSync(entry, { level: 9 }));
  copy(join(root, 'packaging/debian/copyright'), `${docs}/copyright`);
  put('usr/share/man/man1/spliceport.1.gz', compressed('docs/spliceport.1'));
  const units = join(root, 'packaging/systemd');
  for (const unit of readdirSync(units)) copy(join(units, unit), `usr/lib/systemd/user/${unit}`);
  const scripts = {
    bash: 'bash-completion/completions/spliceport',
    zsh: 'zsh/vendor-completions/_spliceport',
    fish: 'fish/vendor_completions.d/spliceport.fish',
  };
  for (const [shell, path] of Object.entries(scripts)) {
    put(`usr/share/${path}`, run(process.execPath, 'lib/cli/main.js', 'completion', shell));
  }
}

/** What the addon needs of the system, as dpkg-shlibdeps finds it. */
function libraries() {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-shlibs-'));
  try {
    mkdirSync(join(folder, 'debian'));
    writeFileSync(
      join(folder, 'debian/control'),
      'Source: spliceport\n\nPackage: spliceport\nArchitecture: any\n',
    );
    const options = { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
    const output = execFileSync('dpkg-shlibdeps', ['-O', '-e', addon], options);
    return output.replace(/^shlibs:Depends=/, '').trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function putControl() {
  const [size] = run('du', '-ks', stage).split('\t');
  const control = {
    Package: 'spliceport',
    Version: version,
    Architecture: run('dpkg', '--print-architecture').trim(),
    Maintainer: maintainer,
    'Installed-Size': size,
    Depends: `nodejs (>= ${description.engines.node.replace(/^>=/, '')}), ${libraries()}`,
    Recommends: 'podman',
    Section: 'net',
    Priority: 'optional',
    Description: [
      'port forwarder for rootless containers',
      'Forwards TCP and UDP ports of the host into network namespaces of containers.',
      'It serves as the port helper of rootless Podman, and by itself.',
    ].join('\n '),
  };
  const lines = Object.entries(control).map(([key, value]) => `${key}: ${value}\n`);
  put('DEBIAN/control', lines.join(''));
  put('DEBIAN/postrm', readFileSync(join(root, 'packaging/debian/postrm')), 0o755);
  const files = run('find', join(stage, 'usr'), '-type', 'f', '-printf', 'usr/%P\\n').trim();
  const options = { cwd: stage, encoding: 'utf8', input: files.split('\n').sort().join('\n') };
  put('DEBIAN/md5sums', execFileSync('xargs', ['-d', '\\n', 'md5sum'], options));
  return `${control.Package}_${control.Version}_${control.Architecture}.deb`;
}

try {
  putProgram();
  putDocuments();
  const file = join(target, putControl());
  mkdirSync(target, { recursive: true });
  run('dpkg-deb', '--root-owner-group', '--build', stage, file);
  console.log(relative(process.cwd(), file));
} finally {
  rmSync(stage, { recursive: true });
}
