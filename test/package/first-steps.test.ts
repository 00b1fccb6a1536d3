// The first steps of README.md on a machine that has Node, npm and Podman, and nothing else of
// ours.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Output } from '../podman/harness/execute.js';
import { hello, httpd } from '../podman/harness/podman-host.js';
import { describePodman } from '../podman/harness/suite.js';
import { Registry } from './npm-registry.js';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

/** The commands of the first block of a section, without their comments. */
function commandsOf(title: string): string[] {
  const [, block = ''] =
    new RegExp(`^## ${title}\n+\`\`\`sh\n(.*?)^\`\`\``, 'ms').exec(readme) ?? [];
  return block
    .trim()
    .split('\n')
    .map((line) => line.replace(/ +# .*$/, ''));
}

describePodman('README.md, from nothing to a container', (host) => {
  let registry: Registry | undefined;

  beforeAll(async () => {
    const local = host().machine.outside('/usr/local');
    // Node as its own releases have it.
    const npm = join(execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim(), 'npm');
    mkdirSync(join(local, 'bin'), { recursive: true });
    cpSync(process.execPath, join(local, 'bin/node'));
    cpSync(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
    registry = await Registry.start(host().machine.pid);
  });
  afterAll(() => registry?.stop());

  const succeed = async (running: Promise<Output>): Promise<string> => {
    const output = await running;
    expect(output).toMatchObject({ code: 0, ...(output.code !== 0 && { stderr: '' }) });
    return output.stdout;
  };

  const [install = ''] = commandsOf('Install');
  const [enable = '', run = '', status = ''] = commandsOf('Use it with Podman');
  const asUser = (command: string) => succeed(host().machine.asUser(command.split(' ')));
  /** npm with this registry, by root. */
  const npm = (command: string) => {
    const settings = ['audit=false', `registry=${registry?.url}`];
    const env = ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
    env.push(...settings.map((setting) => `npm_config_${setting}`));
    return succeed(host().machine.asRoot(['env', ...env, ...command.split(' ')]));
  };
  // There is no other registry either: this image stands for nginx.
  const runWeb = () => asUser(run.replace('docker.io/library/nginx', httpd.join(' ')));
  const answer = () => host().fetchSoon({ port: 8080 });

  test('three commands lead to a container that spliceport serves, and a fourth shows it', async () => {
    expect([install, enable, run, status]).toEqual([
      'npm install -g spliceport',
      'spliceport enable podman',
      'podman run -d --network bridge -p 8080:80 docker.io/library/nginx',
      'spliceport status',
    ]);
    await npm(install);
    await asUser(enable);
    await runWeb();

    expect(await answer()).toBe(hello);
    expect(host().ownerOf(8080)?.exe).toMatch(
      /^\/usr\/(local\/)?lib\/node_modules\/spliceport\/libexec\/rootlessport$/,
    );
    expect(await asUser(status)).toMatch(
      /^podman: enabled\n[^]*\n\S+ \(\w{12}\) +spliceport \d+\.\d+\.\d+ +\d+\n/,
    );
  });

  test('an upgrade and a removal leave a running container its port', async () => {
    await npm(install);
    await asUser(enable);
    await runWeb();
    await npm(install);
    expect(await answer()).toBe(hello);

    await asUser('spliceport disable podman');
    expect(await asUser(status)).toMatch(/^podman: not enabled\n/);
    await npm('npm uninstall -g spliceport');
    expect((await host().machine.asUser(status.split(' '))).code).not.toBe(0);
    expect(await answer()).toBe(hello);
  });
});
