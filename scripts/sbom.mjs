// sbom.mjs: `npm run sbom`. Writes the list of what users install with this version, in CycloneDX's
// form, to dist/.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const path = `dist/spliceport-${version}.cdx.json`;
const options = ['--sbom-format', 'cyclonedx', '--sbom-type', 'library', '--omit', 'dev'];
mkdirSync('dist', { recursive: true });
writeFileSync(path, execFileSync('npm', ['sbom', '--package-lock-only', ...options]));
console.log(path);
