// helper-search.ts: where Podman looks for its helper, according to the files that it reads.

import { accessSync, constants, readFileSync, readdirSync } from 'node:fs';

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
  readonly isRoot: boolean;
}

/** The folders that Podman's configuration sets. */
export interface HelperSearch {
  /** In order. */
  readonly folders: readonly string[];
  /** The file that sets them; undefined if none does. */
  readonly file: string | undefined;
}

/**
 * Our file that Podman reads; for root, the file of all users. Undefined for a user without a home.
 */
export function dropIn({ env, isRoot }: PodmanUser): string | undefined {
  const folder = isRoot ? SYSTEM_FOLDER : userFolder(env);
  return folder === undefined ? undefined : `${folder}/containers.conf.d/spliceport.conf`;
}

/** Our file that every user's Podman reads. */
export const systemDropIn = `${SYSTEM_FOLDER}/containers.conf.d/spliceport.conf`;

/**
 * The folders that Podman looks into.
 * @param without - A file to ignore, to see what the others set.
 */
export function helperSearch(user: PodmanUser, without?: string): HelperSearch {
  let found: HelperSearch = { folders: usualFolders, file: undefined };
  let appends = false;
  for (const file of filesInOrder(user).filter((each) => each !== without)) {
    const list = listIn(textOf(file));
    if (list === undefined) continue;
    appends = list.append ?? appends;
    found = { folders: appends ? [...found.folders, ...list.folders] : list.folders, file };
  }
  return found;
}

/** The helper that Podman starts: the first that exists. */
export function helperOf({ folders }: HelperSearch, { env }: PodmanUser): string | undefined {
  const { CONTAINERS_HELPER_BINARY_DIR: first = '' } = env;
  return [...(first === '' ? [] : [first]), ...folders]
    .map((folder) => `${folder.replace(/(?<=.)\/+$/, '')}/${HELPER}`)
    .find(isExecutable);
}

/** The files that Podman reads; later files win. */
function filesInOrder({ env, isRoot }: PodmanUser): string[] {
  const { CONTAINERS_CONF: only = '' } = env;
  if (only !== '') return [only];
  const own = isRoot ? undefined : userFolder(env);
  return [
    '/usr/share/containers/containers.conf',
    ...[SYSTEM_FOLDER, ...(own === undefined ? [] : [own])].flatMap((folder) => [
      `${folder}/containers.conf`,
      ...dropInsOf(`${folder}/containers.conf.d`),
    ]),
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

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Most often there is none, and what is closed to this user is closed to Podman.
  }
}

/**
 * The list in a file. Parses only part of TOML: comments, both kinds of strings, and Podman's
 * `{append=true}`.
 */
function listIn(text: string): { folders: string[]; append: boolean | undefined } | undefined {
  const [, list] = /^[ \t]*helper_binaries_dir[ \t]*=[ \t]*\[([^\]]*)\]/m.exec(text) ?? [];
  if (list === undefined) return undefined;
  const plain = list.replaceAll(/^[ \t]*#.*$/gm, '');
  const strings = [...plain.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g)];
  const [, append] = /\{\s*append\s*=\s*(true|false)\s*\}/.exec(plain) ?? [];
  return {
    folders: strings.map(([, basic, literal = '']) =>
      basic === undefined ? literal : read(basic),
    ),
    append: append === undefined ? undefined : append === 'true',
  };
}

/** TOML's strings are JSON's, except for escapes that nobody needs in a path. */
function read(basic: string): string {
  try {
    return JSON.parse(`"${basic}"`) as string;
  } catch {
    return basic;
  }
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
