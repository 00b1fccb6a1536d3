// folder.ts: where control sockets are. Small, because every forwarder loads it.

import { readdirSync, readFileSync } from 'node:fs';

/** Names the folder in place of the default one. */
const FOLDER_VARIABLE = 'SPLICEPORT_CONTROL_DIR';

/** The folder that a new control socket goes into by default. */
export function controlFolder(): string {
  const [first = ''] = controlFolders();
  return first;
}

/** Every folder that forwarders of this user use by default; the first is for new sockets. */
export function controlFolders(): string[] {
  const { [FOLDER_VARIABLE]: chosen = '', XDG_RUNTIME_DIR: runtime = '' } = process.env;
  if (chosen !== '') return [chosen];
  const uid = outerUid(process.geteuid?.() ?? 0);
  const folders = [`/run/user/${uid}/spliceport`, `/tmp/spliceport-${uid}`];
  return runtime === '' ? folders.reverse() : [...new Set([`${runtime}/spliceport`, ...folders])];
}

/** Paths of the control sockets in a folder; none when there is no such folder. */
export function socketsIn(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.filter((name) => SOCKET_NAME.test(name)).map((name) => `${folder}/${name}`);
}

/** `<pid>.sock`, and `<pid>-<n>.sock` for a further forwarder of the same process. */
export const SOCKET_NAME = /^(\d+)(?:-\d+)?\.sock$/;

/** The user outside of this process's user namespace, who is the same for a helper within it and a command beside it. */
function outerUid(uid: number): number {
  for (const line of readFileSync('/proc/self/uid_map', 'utf8').split('\n')) {
    const [inner = 0, outer = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= inner && uid < inner + count) return outer + uid - inner;
  }
  return uid;
}
