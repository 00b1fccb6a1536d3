// status.ts: `spliceport status`: whether container engines use spliceport, and what serves their
// containers now.

import { readFileSync } from 'node:fs';
import { isEnabled } from '../docker/unit-files.js';
import { failureOf, exitCodes, type CliFailure, type ExitCode } from '../failure.js';
import { paint } from '../../paint.js';
import { print, printJson, remark } from '../output.js';
import { otherHelpers, ownHelpers, type Helper } from '../podman/helpers.js';
import { describe, reportOf, type PodmanReport } from '../podman/report.js';
import { containerNames, idsIn } from '../running/container-names.js';
import { findRunning } from '../running/forwarders.js';
import { tableLines } from '../text/table.js';

/** What serves a container's ports. */
interface Served {
  /** Null if it is unknown. */
  readonly container: { readonly id: string; readonly name: string | null } | null;
  /** `spliceport`, or the path of another program. */
  readonly helper: string;
  /** Of spliceport; null if it does not answer, too. */
  readonly version: string | null;
  /** Of the helper. */
  readonly pid: number;
}

/** Prints it. */
export async function status({ json = false }: { readonly json?: boolean }): Promise<ExitCode> {
  const user = { env: process.env, isSystem: process.getuid?.() === 0 };
  const [podman, containers] = await Promise.all([
    reportOf(user).catch((error: unknown) => failureOf(error)),
    servedContainers(),
  ]);
  const version = ownVersion();
  const docker = await rootlessDocker();
  if (json) {
    printJson({
      version,
      podman: 'enabled' in podman ? podman : { problem: podman.message },
      rootlessDocker: docker,
      containers,
    });
  } else {
    printPodman(podman, user);
    printDocker(docker);
    printContainers(containers, version);
  }
  return 'enabled' in podman ? exitCodes.done : exitCodes.failed;
}

function printPodman(
  podman: PodmanReport | CliFailure,
  user: Parameters<typeof describe>[1],
): void {
  if (!('enabled' in podman)) {
    print(`podman: ${paint(process.stdout, 'red', 'unknown')}`);
    print(`  ${podman.message}`);
    if (podman.hint !== undefined) print(`  ${podman.hint}`);
    return;
  }
  const { enabled } = podman;
  const word = enabled
    ? paint(process.stdout, 'green', 'enabled')
    : paint(process.stdout, 'yellow', 'not enabled');
  print(`podman: ${word}`);
  for (const line of describe(podman, user)) print(`  ${line}`);
  if (!enabled) print(`  → spliceport enable podman${user.isSystem ? ' --system' : ''}`);
}

/** Whether rootless Docker of this user uses spliceport. */
interface RootlessDocker {
  /** Whether its files are set up. */
  readonly enabled: boolean;
  /** The running port driver; null if there is none. */
  readonly pid: number | null;
  readonly version: string | null;
}

async function rootlessDocker(): Promise<RootlessDocker> {
  const running = await findRunning(() => undefined);
  const driver = running.find(({ info }) => info.program === 'spliceport rootlesskit')?.info;
  const { pid = null, version = null } = driver ?? {};
  return { enabled: isEnabled(process.env), pid, version };
}

/** Says nothing to users without any of it. */
function printDocker({ enabled, pid, version }: RootlessDocker): void {
  if (!enabled && pid === null) return;
  print(`rootless docker: ${enabled ? 'enabled' : 'not enabled'}`);
  print(
    pid === null
      ? '  Docker has not been started since: systemctl --user daemon-reload && systemctl --user restart docker'
      : `  spliceport ${version} (process ${pid}) serves the ports of its containers.`,
  );
}

function printContainers(containers: readonly Served[], version: string): void {
  print('');
  if (containers.length === 0) {
    print('No helper of a container of this user is running.');
    return;
  }
  const rows = containers.map(({ container, helper, version: theirs, pid }) => [
    describeContainer(container),
    theirs === null ? helper : `${helper} ${theirs}`,
    String(pid),
  ]);
  const columns = [{ title: 'CONTAINER' }, { title: 'HELPER' }, { title: 'PID' }];
  for (const line of tableLines(columns, rows)) print(line);
  // One that does not answer may be of this version.
  const isKnown = ({ helper, version: theirs }: Served) =>
    helper !== 'spliceport' || theirs !== null;
  const others = containers.filter((each) => isKnown(each) && each.version !== version).length;
  if (others > 0) {
    remark(
      `${others} of ${containers.length} are not served by spliceport ${version}; they change when they are restarted.`,
    );
  }
}

function describeContainer(container: Served['container']): string {
  if (container === null) return 'unknown';
  const id = container.id.slice(0, 12);
  return container.name === null ? id : `${container.name} (${id})`;
}

async function servedContainers(): Promise<Served[]> {
  const running = (await findRunning()).filter(({ info }) => info.program === 'rootlessport');
  const names = await containerNames(idsIn(running));
  const ours = running.map(({ info: { pid, version, container: { id } = {} } }): Served => ({
    container: id === undefined ? null : { id, name: names.get(id) ?? null },
    helper: 'spliceport',
    version,
    pid,
  }));
  const answering = new Set(ours.map(({ pid }) => pid));
  const silent = ownHelpers().filter(({ pid }) => !answering.has(pid));
  return [
    ...ours,
    ...silent.map((each) => ({ ...servedBy(each), helper: 'spliceport' })),
    ...otherHelpers().map(servedBy),
  ];
}

/** What can be seen of a helper from outside. */
function servedBy({ pid, helper, container }: Helper): Served {
  const known = container && { id: container.id, name: container.name ?? null };
  return { container: known ?? null, helper, version: null, pid };
}

function ownVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}
