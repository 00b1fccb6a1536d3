// npm-registry.ts: a registry with the packages that a user installs: this one as it is published,
// with what was compiled here as its prebuilt addon, and those that it needs.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dependencies } from '../helpers/installed-package.js';
import { within } from '../helpers/wait.js';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** Serves files by the names that npm asks for, and prints its port. */
const server = `
  const { createServer } = require('node:http');
  const { existsSync, readFileSync } = require('node:fs');
  const folder = process.argv[1];
  createServer((request, response) => {
    const file = folder + '/' + encodeURIComponent(decodeURIComponent(request.url.slice(1)));
    response.statusCode = existsSync(file) ? 200 : 404;
    response.end(response.statusCode === 200 ? readFileSync(file) : '{}');
  }).listen(4873, '127.0.0.1', () => console.log('listening'));
`;
const url = 'http://127.0.0.1:4873/';

interface Manifest {
  readonly name: string;
  readonly version: string;
}

/** The package as npm publishes it, in a folder of its own. */
function published(folder: string): string {
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const file = execFileSync('npm', pack, { cwd: project, encoding: 'utf8' }).trim();
  execFileSync('tar', ['-xzf', join(folder, file), '-C', folder]);
  const prebuilds = join(folder, `package/prebuilds/linux-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  const compiled = { 'spliceport.node': 'spliceport.glibc.node', rootlessport: 'rootlessport' };
  for (const [from, to] of Object.entries(compiled)) {
    cpSync(join(project, 'build/Release', from), join(prebuilds, to));
  }
  return join(folder, 'package');
}

/** Writes what the registry has of packages with the same name. */
function publish(folder: string, packages: readonly string[]): void {
  const versions: Record<string, object> = {};
  let name = '';
  for (const from of packages) {
    const text = readFileSync(join(from, 'package.json'), 'utf8');
    const manifest = JSON.parse(text) as Manifest;
    name = manifest.name;
    const file = encodeURIComponent(`${name}-${manifest.version}.tgz`);
    const form = ['--exclude=./node_modules', '--transform', 's,^\\.,package,'];
    execFileSync('tar', ['-czf', join(folder, file), ...form, '-C', from, '.']);
    versions[manifest.version] = { ...manifest, dist: { tarball: url + file } };
  }
  const latest = Object.keys(versions).at(-1);
  const entry = { name, 'dist-tags': { latest }, versions };
  writeFileSync(join(folder, encodeURIComponent(name)), JSON.stringify(entry));
}

/** A registry at {@link Registry.url}, in the network namespace of a process. */
export class Registry {
  readonly url = url;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, process: ChildProcess) {
    this.#folder = folder;
    this.#process = process;
  }

  static async start(pid: number): Promise<Registry> {
    const folder = mkdtempSync(join(tmpdir(), 'spliceport-registry-'));
    publish(folder, [published(folder)]);
    const paths = dependencies();
    const nameOf = (path: string) => path.replace(/.*node_modules\//, '');
    for (const name of new Set(paths.map(nameOf))) {
      const same = paths.filter((path) => nameOf(path) === name);
      publish(
        folder,
        same.map((path) => join(project, path)),
      );
    }
    const enter = ['--target', String(pid), '--net'];
    const command = [...enter, process.execPath, '-e', server, folder];
    const child = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const listening = new Promise((resolve) => child.stdout.once('data', resolve));
    await within(listening, 'a registry', 10_000);
    return new Registry(folder, child);
  }

  stop(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true });
  }
}
