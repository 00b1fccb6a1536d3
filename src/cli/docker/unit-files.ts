// unit-files.ts: the files by which systemd starts rootless Docker with spliceport as RootlessKit's
// port driver, and those that others have written for it.

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliFailure, exitCodes } from '../failure.js';
import { attempt } from '../running/processes.js';

const MARK =
  '# Written by "spliceport enable docker --rootless"; "spliceport disable docker --rootless" removes this file.';
const FLAGS = 'DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS';
const DRIVER = 'DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER';
/** As systemd names the user's runtime folder. */
const STATE_FOLDER = '%t/dockerd-rootless';
const OWN_NAME = 'spliceport.conf';

const child = fileURLToPath(new URL('../../../libexec/rootlesskit-child', import.meta.url));
const main = fileURLToPath(new URL('../main.js', import.meta.url));

/** A file of spliceport's own. */
export interface UnitFile {
  readonly path: string;
  readonly text: string;
  /** What is there now; undefined if there is none. */
  readonly present: string | undefined;
}

/**
 * The files, the drop-in for docker.service first.
 * @throws CliFailure if somebody else has written or changed one of them, or sets the same
 * variables
 */
export function unitFiles(env: NodeJS.ProcessEnv): UnitFile[] {
  const folder = userFolder(env);
  const others = settingsOfOthers(folder);
  return [
    unitFile(`${folder}/docker.service.d/${OWN_NAME}`, dropIn(others)),
    unitFile(`${folder}/spliceport-docker.service`, service()),
  ];
}

/** What is there, whoever's it is: for those who only look. */
export function isEnabled(env: NodeJS.ProcessEnv): boolean {
  const file = () => `${userFolder(env)}/docker.service.d/${OWN_NAME}`;
  const text = attempt(() => readFileSync(file(), 'utf8')) ?? '';
  return text.startsWith(`${MARK}\n`) && text.includes(child);
}

function userFolder({ XDG_CONFIG_HOME: config = '', HOME: home = '' }: NodeJS.ProcessEnv): string {
  if (config !== '') return `${config}/systemd/user`;
  if (home !== '') return `${home}/.config/systemd/user`;
  throw new CliFailure(exitCodes.failed, 'this user has no home directory: HOME is not set');
}

function unitFile(path: string, lines: string): UnitFile {
  const text = `${MARK}\n${lines}`;
  const present = attempt(() => readFileSync(path, 'utf8'));
  if (present === undefined || withoutValues(present) === withoutValues(text)) {
    return { path, text, present };
  }
  const what = present.startsWith(`${MARK}\n`)
    ? 'was changed by hand'
    : 'was not written by "spliceport enable docker --rootless"';
  throw new CliFailure(exitCodes.failed, `${path} ${what}`, {
    hint: 'spliceport has changed nothing. Change the file by hand, or move it elsewhere first.',
  });
}

/** Another installation, or other flags, make other values. */
function withoutValues(text: string): string {
  return text.replaceAll(/^(ExecStart|Environment)=.*$/gm, '$1=');
}

/** RootlessKit's options end with its command, in front of which another command fits. */
function dropIn(others: string): string {
  if (/\s/.test(child)) {
    throw new CliFailure(exitCodes.failed, `dockerd-rootless.sh cannot start ${child}`, {
      hint: 'Install spliceport in a folder without a space in its path.',
    });
  }
  const flags = `${others} --state-dir=${STATE_FOLDER} ${child.replaceAll('%', '%%')}`.trim();
  return `[Unit]
Wants=spliceport-docker.service
After=spliceport-docker.service

[Service]
Environment="${DRIVER}=none"
Environment="${FLAGS}=${flags}"
`;
}

function service(): string {
  const words = [process.execPath, main].map((word) => `"${word.replaceAll('%', '%%')}"`).join(' ');
  return `[Unit]
Description=spliceport for the ports of rootless Docker
PartOf=docker.service

[Service]
ExecStart=${words} rootlesskit --wait --state-dir ${STATE_FOLDER}
Restart=always
RestartSec=1
# The first process passes the signal on.
KillMode=mixed
`;
}

/** The flags that other files set for RootlessKit. */
function settingsOfOthers(folder: string): string {
  const folders = ['/usr/lib/systemd/user', '/etc/systemd/user', folder];
  const dropIns = folders.flatMap((each) =>
    (attempt(() => readdirSync(`${each}/docker.service.d`)) ?? [])
      .filter((name) => name.endsWith('.conf') && name !== OWN_NAME)
      .map((name) => ({ name, path: `${each}/docker.service.d/${name}` })),
  );
  const files = [
    ...folders.map((each) => ({ name: '', path: `${each}/docker.service` })),
    ...dropIns.sort((a, b) => (a.name < b.name ? -1 : 1)),
  ];
  let flags = '';
  for (const { name, path } of files) {
    const text = attempt(() => readFileSync(path, 'utf8')) ?? '';
    const found = valueIn(text, FLAGS);
    if (name > OWN_NAME && (found ?? valueIn(text, DRIVER)) !== undefined) {
      throw new CliFailure(exitCodes.failed, `${path} would win over spliceport's file`, {
        hint: `It sets ${FLAGS} or ${DRIVER}. Rename it so that its name comes before ${OWN_NAME}.`,
      });
    }
    flags = found ?? flags;
  }
  return flags;
}

/** The last value of a variable in a unit's text. */
function valueIn(text: string, variable: string): string | undefined {
  const pattern = new RegExp(
    `^Environment=.*?(?:"${variable}=([^"]*)"|\\b${variable}=(\\S*))`,
    'gm',
  );
  const [, quoted, plain] = [...text.matchAll(pattern)].at(-1) ?? [];
  return quoted ?? plain;
}
