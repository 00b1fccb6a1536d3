// report.ts: whether Podman uses this spliceport.

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  dropIn,
  helperOf,
  readConfiguration,
  systemDropIn,
  type PodmanUser,
} from './configuration.js';
import { defaultNetwork, describeNetwork, type DefaultNetwork } from './default-network.js';

/** The folder of this installation's helper. */
export const helperFolder = fileURLToPath(new URL('../../../libexec', import.meta.url));

/** How Podman is set up. */
export interface PodmanReport {
  /** Where this spliceport's helper is. */
  readonly folder: string;
  /** The helper that Podman starts; null if it finds none. */
  readonly helper: string | null;
  /** Whether that is this spliceport's. */
  readonly enabled: boolean;
  /** The file of Podman's configuration that sets the folders; null if none does. */
  readonly setBy: string | null;
  /** Where `enable` writes. */
  readonly files: { readonly user: string | null; readonly allUsers: string };
  /** Null if it is unknown. */
  readonly network: DefaultNetwork | null;
}

/** Looks. */
export async function reportOf(user: PodmanUser): Promise<PodmanReport> {
  const configuration = await readConfiguration(user);
  const helper = helperOf(configuration, user);
  return {
    folder: helperFolder,
    helper: helper ?? null,
    enabled: helper !== undefined && isOurs(helper),
    setBy: configuration.file ?? null,
    files: { user: dropIn({ ...user, isSystem: false }) ?? null, allUsers: systemDropIn },
    network: (await defaultNetwork(configuration)) ?? null,
  };
}

/** Whether a helper is the one of this installation. */
export function isOurs(helper: string): boolean {
  return realpathSync(helper) === realpathSync(`${helperFolder}/rootlessport`);
}

/**
 * The lines that make Podman use this spliceport. The list replaces the present one, so it ends
 * with that.
 */
export async function linesFor(user: PodmanUser): Promise<string> {
  const { folders } = await readConfiguration(user, dropIn(user));
  const others = folders.filter((each) => each !== helperFolder);
  const list = [helperFolder, ...others].map((each) => `  ${JSON.stringify(each)},\n`).join('');
  return `[engine]\nhelper_binaries_dir = [\n${list}]\n`;
}

/** Sentences about it. */
export function describe(report: PodmanReport, { isSystem }: PodmanUser): string[] {
  const { helper, enabled, setBy, network } = report;
  const whose = isSystem ? 'Rootless Podman' : 'Podman of this user';
  const belongs = enabled
    ? 'which belongs to this spliceport'
    : 'which does not belong to this spliceport';
  return [
    helper === null ? `${whose} finds no helper.` : `${whose} starts ${helper}, ${belongs}.`,
    ...(setBy === null ? [] : [`Its helper folders are set by ${setBy}.`]),
    ...describeNetwork(network ?? undefined),
    ...(isSystem ? ['Users whose own files set other folders or networks use those.'] : []),
  ];
}
