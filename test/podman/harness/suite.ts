// suite.ts: a describe block that has a podman host, or says why it has none.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { isMissing, type Tool } from '../../helpers/tools.js';
import { isOurs } from './helper.js';
import { debianRoot } from './machine.js';
import { PodmanHost } from './podman-host.js';

const testMs = 60_000;
const packages =
  'podman crun conmon slirp4netns netavark aardvark-dns iptables uidmap catatonit busybox-static iproute2 passwd docker.io';
const commands =
  'podman crun conmon slirp4netns iptables newuidmap catatonit busybox ip useradd docker';
const tools: Tool[] = commands.split(' ').map((command) => ({ command, package: packages }));

/** A test of what the packaged helper does badly: with that one, it must fail. */
export const testBetters = isOurs ? test : test.fails;

function isUnable(name: string): boolean {
  // A Debian root brings its own.
  const needed = debianRoot === undefined ? tools : [];
  const lacking = needed.find((tool) => isMissing(tool, name));
  if (lacking !== undefined) return true;
  // Root of a user namespace has one user, and no others to lend to containers.
  const map = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  if (process.getuid?.() === 0 && Number(map[2]) > 65_536) return false;
  const reason = 'only root can add a user with subordinate ids: sudo npm test';
  if (process.env['CI'] === 'true') throw new Error(`${name} cannot run: ${reason}`);
  process.stderr.write(`skipped: ${name}; ${reason}\n`);
  return true;
}

/** The first number of the version of podman's package; NaN without one. */
export const podmanMajor = Number.parseInt(
  spawnSync(
    'dpkg-query',
    [
      ...(debianRoot === undefined ? [] : ['--admindir', `${debianRoot}/var/lib/dpkg`]),
      '--show',
      '--showformat=${Version}',
      'podman',
    ],
    { encoding: 'utf8' },
  ).stdout,
);

/**
 * A describe block whose tests share one host; each finds it without containers, pods and networks.
 */
export function describePodman(name: string, define: (host: () => PodmanHost) => void): void {
  describe.skipIf(isUnable(name))(name, { timeout: testMs }, () => {
    let host: PodmanHost | undefined;
    beforeAll(async () => (host = await PodmanHost.start()), testMs);
    afterEach(() => host?.clear(), testMs);
    afterAll(() => host?.stop(), testMs);
    define(() => {
      if (host === undefined) throw new Error('there is no podman host');
      return host;
    });
  });
}
