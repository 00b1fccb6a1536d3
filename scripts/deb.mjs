// deb.mjs: `npm run deb [-- FOLDER]`: makes a Debian package of what is built here, for this
// architecture, in FOLDER (default: dist). Needs dpkg-dev. The package runs on Debian's own nodejs.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  addon,
  copy,
  description,
  put,
  putDocuments,
  putProgram,
  root,
  run,
  stage,
  target,
} from './stage.mjs';

/** The number behind the dash says how often this version was packaged. */
const version = `${description.version}-1`;
const maintainer = 'The spliceport maintainers <maintainers@spliceport.invalid>';

function putDebianDocuments() {
  const docs = 'usr/share/doc/spliceport';
  const entry = `spliceport (${version}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- ${maintainer}  ${run('date', '-R')}`;
  put(`${docs}/changelog.Debian.gz`, gzipSync(entry, { level: 9 }));
  copy(join(root, 'packaging/debian/copyright'), `${docs}/copyright`);
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
  putDocuments('vendor-completions');
  putDebianDocuments();
  const file = join(target, putControl());
  mkdirSync(target, { recursive: true });
  run('dpkg-deb', '--root-owner-group', '--build', stage, file);
  console.log(relative(process.cwd(), file));
} finally {
  rmSync(stage, { recursive: true });
}
