// facts.ts: looks at the machine. Nothing is changed, but for an engine that starts and ends.

import { execFile, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  realpathSync,
  rmdirSync,
} from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { controlFolders, openFolder } from '../../control/folder.js';
import { findSettingsFile } from '../../settings/find.js';
import { describeProblem, loadSettings } from '../../settings/load.js';
import { readSysctl, unprivilegedPortStart } from '../../sysctl.js';
import { helperOf, isExecutable, readConfiguration } from '../podman/configuration.js';
import type { Facts, PodmanFacts } from './findings.js';

const PODMAN_TIMEOUT_MS = 15_000;
const own = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** Everything that the findings follow from. */
export async function gatherFacts(): Promise<Facts> {
  const isRoot = process.getuid?.() === 0;
  const engineFailure = await engine();
  const userNamespaceFailure = userNamespace();
  const podman = await podmanFacts(isRoot);
  const settings = settingsFile();
  const controlFailure = controlFolder();
  return {
    isRoot,
    kernel: release(),
    ...(engineFailure !== undefined && { engineFailure }),
    helperNode: helperNode(),
    ...(userNamespaceFailure !== undefined && { userNamespaceFailure }),
    maxUserNamespaces: readSysctl('user.max_user_namespaces'),
    appArmorRestricts: readSysctl('kernel.apparmor_restrict_unprivileged_userns') === 1,
    hasTun: canOpen('/dev/net/tun'),
    unprivilegedPortStart: unprivilegedPortStart(),
    maxOpenFiles: maxOpenFiles(),
    pipePages: readSysctl('fs.pipe-user-pages-soft'),
    maxPipeBytes: readSysctl('fs.pipe-max-size'),
    isSelinuxEnforcing: isSelinuxEnforcing(),
    ...(podman !== undefined && { podman }),
    ...(settings !== undefined && { settings }),
    ...(controlFailure !== undefined && { controlFailure }),
  };
}

async function engine(): Promise<string | undefined> {
  try {
    const { Forwarder } = await import('../../index.js');
    await new Forwarder().close();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function helperNode(): Facts['helperNode'] {
  try {
    const path = readFileSync(own('lib/node-path'), 'utf8').trim();
    return { path, isExecutable: isExecutable(path) };
  } catch {
    return null;
  }
}

function userNamespace(): string | undefined {
  const args = ['--user', '--map-root-user', '--net', 'true'];
  const { status, stderr, error } = spawnSync('unshare', args, { encoding: 'utf8' });
  // Without the program nothing is known.
  if (status === 0 || error !== undefined) return undefined;
  return stderr.trim().split('\n').at(-1) ?? '';
}

async function podmanFacts(isRoot: boolean): Promise<PodmanFacts | undefined> {
  const format = '{{.Host.RootlessNetworkCmd}}';
  const answer = await new Promise<string | undefined>((resolve) => {
    const options = { timeout: PODMAN_TIMEOUT_MS, encoding: 'utf8' } as const;
    execFile('podman', ['info', '--format', format], options, (error, stdout) =>
      resolve(error?.code === 'ENOENT' ? undefined : error === null ? stdout.trim() : ''),
    );
  });
  if (answer === undefined) return undefined;
  const user = { env: process.env, isSystem: isRoot };
  const configuration = await readConfiguration(user).catch((error: unknown) => messageOf(error));
  if (typeof configuration === 'string') return { isOurs: false, problem: configuration };
  const helper = helperOf(configuration, user);
  return {
    ...(helper !== undefined && { helper }),
    isOurs:
      helper !== undefined && realpathSync(helper) === realpathSync(own('libexec/rootlessport')),
    ...(/^\w+$/.test(answer) && { network: answer }),
  };
}

function settingsFile(): Facts['settings'] {
  const path = findSettingsFile();
  if (path === undefined) return undefined;
  return { path, problems: loadSettings(path).problems.map(describeProblem) };
}

/** The first folder that there is decides, as for a forwarder. */
function controlFolder(): string | undefined {
  const [folder] = controlFolders();
  if (folder === undefined) return 'there is no folder for control sockets';
  const isThere = existsSync(folder);
  try {
    closeSync(openFolder(folder));
    if (!isThere) rmdirSync(folder);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function maxOpenFiles(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  return hard === 'unlimited' ? Infinity : Number(hard);
}

function isSelinuxEnforcing(): boolean {
  try {
    return Number(readFileSync('/sys/fs/selinux/enforce', 'utf8')) === 1;
  } catch {
    return false; // Without SELinux there is no such file.
  }
}

function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return true;
  } catch {
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
