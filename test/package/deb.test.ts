// The Debian package: made here, installed in a root of a newer Debian, used, and removed.

import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const debianRoot = process.env['SPLICEPORT_DEBIAN_ROOT'] ?? '';
let folder: string;
let mounted: string;

/** Runs a line of the shell inside the root, which has this machine's network. */
function inside(line: string): SpawnSyncReturns<string> {
  const proxies = Object.entries(process.env).filter(([name]) => /_proxy$/i.test(name));
  const own = { PATH: '/usr/sbin:/usr/bin', HOME: '/root', DEBIAN_FRONTEND: 'noninteractive' };
  const env = { ...Object.fromEntries(proxies), ...own };
  return spawnSync(
    'unshare',
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'chroot',
      mounted,
      'sh',
      '-c',
      `mount -t proc proc /proc && ${line}`,
    ],
    {
      encoding: 'utf8',
      env,
    },
  );
}

/** The same, which must succeed; what it prints. */
function output(line: string): string {
  const { status, stdout, stderr } = inside(line);
  expect({ line, status, stderr: status === 0 ? '' : `${stdout}${stderr}` }).toMatchObject({
    status: 0,
  });
  return stdout;
}

/** Every file of the system; but for what dpkg and apt write on each use. */
const filesOf = () =>
  output(
    'find / -xdev \\( -path /proc -o -path /tmp -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \\) -prune -o -print | sort',
  ).split('\n');

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-package-'));
  execFileSync('mount', ['-t', 'tmpfs', 'spliceport-package', folder]);
  mounted = join(folder, 'root');
  execFileSync('mkdir', ['upper', 'work', 'root'], { cwd: folder });
  const layers = `lowerdir=${debianRoot},upperdir=${folder}/upper,workdir=${folder}/work`;
  execFileSync('mount', ['-t', 'overlay', 'spliceport-package', '-o', layers, mounted]);
  execFileSync(process.execPath, [join(root, 'scripts/deb.mjs'), join(mounted, 'tmp')]);
  // The root may be older than this machine's network.
  copyFileSync('/etc/resolv.conf', join(mounted, 'etc/resolv.conf'));
  const apt = 'apt-get -q -o Acquire::Retries=5';
  output(`${apt} update && ${apt} install -y --no-install-recommends nodejs`);
});
afterAll(() => {
  for (const path of [mounted, folder]) execFileSync('umount', [path]);
  rmSync(folder, { recursive: true });
});

describe('the Debian package', () => {
  test('installs, serves, and leaves nothing when it is removed', () => {
    const before = filesOf();
    const [file = ''] = readdirSync(join(mounted, 'tmp')).filter((name) => name.endsWith('.deb'));
    output(`dpkg -i /tmp/${file}`);

    expect(output('spliceport --version')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(output('spliceport path podman')).toBe('/usr/lib/spliceport/libexec\n');
    const findings = JSON.parse(output('spliceport doctor --json')) as object[];
    expect(findings).toContainEqual(expect.objectContaining({ check: 'engine', severity: 'ok' }));
    const onNode = { check: 'helper-node', severity: 'ok' };
    expect(findings).toContainEqual(
      expect.objectContaining({
        ...onNode,
        text: expect.stringContaining('/usr/bin/node') as string,
      }),
    );
    // The helper answers by itself what it cannot read.
    const helper = inside('/usr/libexec/spliceport/rootlessport < /dev/null');
    expect(helper, helper.stderr).toMatchObject({
      status: 1,
      stdout: 'Unexpected end of JSON input\n',
    });
    const events = output(
      'timeout -s TERM 3 spliceport forward 127.0.0.1:0:9 --netns /proc/self/ns/net --json --drain 0 || [ $? = 124 ]',
    );
    expect(events).toMatch(/"event":"ready".*\n[^]*"event":"closed"/);
    output('zcat /usr/share/man/man1/spliceport.1.gz | grep -q "^.SH NAME"');
    output('bash -n /usr/share/bash-completion/completions/spliceport');

    output(
      'spliceport enable podman --system && test -f /etc/containers/containers.conf.d/spliceport.conf',
    );
    output('dpkg --purge spliceport');
    expect(filesOf()).toEqual(before);
  });

  test('is needed by nobody but asks for the Node that it runs on', () => {
    const [file = ''] = readdirSync(join(mounted, 'tmp')).filter((name) => name.endsWith('.deb'));
    expect(output(`dpkg-deb -f /tmp/${file} Depends`)).toMatch(/^nodejs \(>= 20\.17\.0\), libc6 /);
  });
});
