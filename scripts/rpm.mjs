// rpm.mjs: `npm run rpm [-- FOLDER]`: makes an RPM package of what is built here, for this
// architecture, in FOLDER (default: dist). Needs rpmbuild. The package runs on the distribution's
// own nodejs.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { description, put, putDocuments, putProgram, root, run, stage, target } from './stage.mjs';

const built = mkdtempSync(join(tmpdir(), 'spliceport-rpm-'));

try {
  putProgram();
  putDocuments('site-functions');
  put('usr/share/licenses/spliceport/LICENSE', readFileSync(join(root, 'LICENSE')));
  const defines = {
    _topdir: built,
    _rpmdir: target,
    _build_name_fmt: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    spliceport_version: description.version.replaceAll('-', '~'),
    spliceport_stage: stage,
  };
  const options = Object.entries(defines).flatMap(([name, value]) => [
    '--define',
    `${name} ${value}`,
  ]);
  mkdirSync(target, { recursive: true });
  run('rpmbuild', '-bb', '--quiet', ...options, join(root, 'packaging/rpm/spliceport.spec'));
  for (const file of readdirSync(target).filter((name) => name.endsWith('.rpm'))) {
    console.log(relative(process.cwd(), join(target, file)));
  }
} finally {
  rmSync(stage, { recursive: true });
  rmSync(built, { recursive: true });
}
