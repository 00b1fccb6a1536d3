// configuration.ts: what Podman's configuration files say about its helper and its networks.

import { accessSync, constants, readFileSync, readdirSync } from 'node:fs';
import { CliFailure, exitCodes } from '../failure.js';

/** Podman's default folders, which a list in its configuration replaces. */
const usualFolders = [
  '/usr/local/libexec/podman',
  '/usr/local/lib/podman',
  '/usr/libexec/podman',
  '/usr/lib/podman',
];

const SYSTEM_FOLDER = '/etc/containers';
const HELPER = 'rootlessport';

/** Whose Podman it is. */
export interface PodmanUser {
  readonly env: NodeJS.ProcessEnv;
  /** If true, every user's rootless Podman; then no user's own files are read. */
  readonly isSystem: boolean;
}

/** A value, and the file that sets it. */
export interface Setting<T> {
  readonly value: T;
  readonly file: string;
}

/** What the files set. */
export interface PodmanConfiguration {
  /** Where Podman looks for its helper, in order. */
  readonly folders: readonly string[];
  /** The file that sets them; undefined if none does. */
  readonly file: string | undefined;
  /** `netns` of `[containers]`: the network of containers without `--network`. */
  readonly netns?: Setting<string>;
  /** `default_rootless_network_cmd` of `[network]`. */
  readonly rootlessNetwork?: Setting<string>;
  /** `network_cmd_options` of `[engine]`. */
  readonly networkOptions: readonly string[];
}

/** The file of ours that Podman reads; undefined for a user without a home. */
export function dropIn({ env, isSystem }: PodmanUser): string | undefined {
  const folder = isSystem ? SYSTEM_FOLDER : userFolder(env);
  return folder === undefined ? undefined : `${folder}/containers.conf.d/spliceport.conf`;
}

/** The file of ours that every user's Podman reads. */
export const systemDropIn = `${SYSTEM_FOLDER}/containers.conf.d/spliceport.conf`;

/**
 * Reads the files that Podman reads.
 * @param without - A file to ignore, to see what the others set.
 * @throws CliFailure if one of them is not valid TOML
 */
export async function readConfiguration(
  user: PodmanUser,
  without?: string,
): Promise<PodmanConfiguration> {
  const { parse } = await import('smol-toml');
  let found: PodmanConfiguration = { folders: usualFolders, file: undefined, networkOptions: [] };
  let appends = false;
  for (const file of filesInOrder(user).filter((each) => each !== without)) {
    const { containers, engine, network } = tablesOf(file, parse);
    const netns = containers['netns'];
    const rootlessNetwork = network['default_rootless_network_cmd'];
    const options = engine['network_cmd_options'];
    found = {
      ...found,
      ...(typeof netns === 'string' && { netns: { value: netns, file } }),
      ...(typeof rootlessNetwork === 'string' && {
        rootlessNetwork: { value: rootlessNetwork, file },
      }),
      ...(Array.isArray(options) && { networkOptions: options.map(String) }),
    };
    const list = engine['helper_binaries_dir'];
    if (!Array.isArray(list)) continue;
    const own = list.filter((each) => typeof each === 'string');
    appends = appendOf(list) ?? appends;
    found = { ...found, folders: appends ? [...found.folders, ...own] : own, file };
  }
  return found;
}

/** The helper that Podman starts: the first that exists. */
export function helperOf(
  { folders }: PodmanConfiguration,
  { env }: PodmanUser,
): string | undefined {
  const { CONTAINERS_HELPER_BINARY_DIR: first = '' } = env;
  return [...(first === '' ? [] : [first]), ...folders]
    .map((folder) => `${folder.replace(/(?<=.)\/+$/, '')}/${HELPER}`)
    .find(isExecutable);
}

/** The files that Podman reads; later files win. */
function filesInOrder({ env, isSystem }: PodmanUser): string[] {
  const { CONTAINERS_CONF: only = '', CONTAINERS_CONF_OVERRIDE: last = '' } = env;
  const overrides = last === '' ? [] : [last];
  if (only !== '') return [only, ...overrides];
  const own = isSystem ? undefined : userFolder(env);
  return [
    '/usr/share/containers/containers.conf',
    ...[SYSTEM_FOLDER, ...(own === undefined ? [] : [own])].flatMap((folder) => [
      `${folder}/containers.conf`,
      ...dropInsOf(`${folder}/containers.conf.d`),
    ]),
    ...overrides,
  ];
}

function userFolder({ XDG_CONFIG_HOME: config = '', HOME: home = '' }: NodeJS.ProcessEnv) {
  if (config !== '') return `${config}/containers`;
  return home === '' ? undefined : `${home}/.config/containers`;
}

function dropInsOf(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.conf'));
    return names.sort().map((name) => `${folder}/${name}`);
  } catch {
    return []; // Most often there is none.
  }
}

type Table = Readonly<Record<string, unknown>>;

/** The tables of a file that matter here. */
function tablesOf(
  file: string,
  parse: (text: string) => Table,
): Readonly<Record<'containers' | 'engine' | 'network', Table>> {
  let all: Table;
  try {
    all = parse(textOf(file));
  } catch (error) {
    throw invalidToml(file, error as Error & { readonly line?: number; readonly column?: number });
  }
  const table = (name: string): Table => {
    const value = all[name];
    return typeof value === 'object' && value !== null ? (value as Table) : {};
  };
  return { containers: table('containers'), engine: table('engine'), network: table('network') };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Most often there is none, and what is closed to this user is closed to Podman.
  }
}

function invalidToml(
  file: string,
  error: Error & { readonly line?: number; readonly column?: number },
): CliFailure {
  const { line = 0, column = 0 } = error;
  const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
  return new CliFailure(
    exitCodes.failed,
    `${file} is not valid TOML: line ${line}, column ${column}: ${reason}`,
    { hint: 'Podman cannot read it either. Correct it first; spliceport has changed nothing.' },
  );
}

/** Podman's `{append=true}` in a list. */
function appendOf(list: readonly unknown[]): boolean | undefined {
  const attributes = list.filter((each) => typeof each === 'object' && each !== null) as Table[];
  return attributes.map(({ append }) => append).find((append) => typeof append === 'boolean');
}

/** Whether this user may run a file. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
