// reproducible.mjs: `npm run reproducible`. Makes the prebuilds of the last commit twice, in
// folders of different names and without a compiler's cache, and fails if their bytes differ.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds the last commit in `folder`; a line of hash and path for each file made. */
function prebuildsIn(folder) {
  mkdirSync(folder, { recursive: true });
  const archive = execFileSync('git', ['archive', 'HEAD'], { cwd: root, maxBuffer: Infinity });
  execFileSync('tar', ['-x'], { cwd: folder, input: archive });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const env = { ...process.env, CCACHE_DISABLE: '1' };
  execFileSync('npm', ['run', 'prebuild'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const files = readdirSync(join(folder, 'prebuilds'), { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .map((path) => {
      const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
      return `${hash}  ${path.slice(folder.length + 1)}`;
    })
    .sort()
    .join('\n');
}

const scratch = mkdtempSync(join(tmpdir(), 'spliceport-reproducible-'));
try {
  const [one, other] = ['one', 'another/deeper'].map((name) => prebuildsIn(join(scratch, name)));
  console.log(one);
  if (one !== other) {
    console.error(`differs from the second build:\n${other}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true });
}
