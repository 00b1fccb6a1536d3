// default-network.ts: the network of rootless containers that are started without --network.

import { execFile } from 'node:child_process';
import type { PodmanConfiguration } from './configuration.js';

const TIMEOUT_MS = 15_000;
/** Since this version, pasta takes the place of slirp4netns. */
const PASTA_VERSION = 5;

/** The network, and whether Podman asks its helper to forward ports of containers on it. */
export interface DefaultNetwork {
  /** Such as `pasta` or `bridge`. */
  readonly name: string;
  readonly asksHelper: boolean;
  /** The file that sets it; undefined for Podman's own default. */
  readonly file?: string;
}

/** Undefined if there is no podman and no file that sets it. */
export async function defaultNetwork(
  configuration: PodmanConfiguration,
): Promise<DefaultNetwork | undefined> {
  const { netns, rootlessNetwork, networkOptions } = configuration;
  const isChosen = netns !== undefined && !['', 'private'].includes(netns.value);
  const set = isChosen ? netns : rootlessNetwork;
  const name = set?.value ?? (await ownDefault());
  if (name === undefined) return undefined;
  const [kind = ''] = name.split(':');
  const isSlirp = kind === 'slirp4netns' && !networkOptions.includes('port_handler=slirp4netns');
  return {
    name,
    asksHelper: kind === 'bridge' || isSlirp,
    ...(set !== undefined && { file: set.file }),
  };
}

function ownDefault(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, encoding: 'utf8' } as const;
    execFile('podman', ['--version'], options, (_, stdout) => {
      const [, major] = / (\d+)\.\d/.exec(stdout) ?? [];
      if (major === undefined) resolve(undefined);
      else resolve(Number(major) >= PASTA_VERSION ? 'pasta' : 'slirp4netns');
    });
  });
}

/** Sentences about it. */
export function describeNetwork(network: DefaultNetwork | undefined): string[] {
  if (network === undefined) return ['There is no podman in PATH.'];
  const { name, asksHelper, file } = network;
  const source = file === undefined ? '' : ` (set by ${file})`;
  const subject = `Containers started without --network use ${name}${source}`;
  if (asksHelper) return [`${subject}: Podman asks its helper to forward their ports.`];
  if (['host', 'none'].includes(name)) return [`${subject}: they have no ports to forward.`];
  return [
    `${subject}, for which Podman asks no helper.`,
    'For those that should use the helper: podman run --network bridge -p 8080:80 IMAGE',
  ];
}
