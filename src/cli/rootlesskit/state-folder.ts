// state-folder.ts: the state directory of a RootlessKit: what it says, and whose api.sock it has.

import { existsSync, lstatSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { CliFailure, exitCodes } from '../failure.js';
import { attempt, processExists } from '../running/processes.js';

const TIMEOUT_MS = 5_000;

/** RootlessKit's answer of `GET /v1/info`. */
export interface RootlessKitInfo {
  readonly [field: string]: unknown;
  readonly childPID: number;
  readonly portDriver?: { readonly driver: string };
}

/** Paths in a state directory. */
export interface StateFolder {
  readonly path: string;
  /** The socket that RootlessKit's clients call. */
  readonly apiSocket: string;
  /** RootlessKit's own one, while spliceport's has its name. */
  readonly ownSocket: string;
}

/** The paths in a state directory. */
export function stateFolder(path: string): StateFolder {
  return {
    path,
    apiSocket: `${path}/api.sock`,
    ownSocket: `${path}/api-rootlesskit.sock`,
  };
}

/** The state directory of rootless Docker. */
export function usualStateFolder(env: NodeJS.ProcessEnv): string {
  const { XDG_RUNTIME_DIR: runtime = '' } = env;
  return `${runtime === '' ? `/run/user/${process.getuid?.()}` : runtime}/dockerd-rootless`;
}

/** Undefined while no RootlessKit answers. */
export async function infoIn(folder: StateFolder): Promise<RootlessKitInfo | undefined> {
  const socket = existsSync(folder.ownSocket) ? folder.ownSocket : folder.apiSocket;
  const info = await get(socket).catch(() => undefined);
  const isRunning = typeof info?.childPID === 'number' && processExists(info.childPID);
  return isRunning ? info : undefined;
}

/**
 * What the RootlessKit says that runs with this state directory.
 * @throws CliFailure if there is none, or its ports have a driver already
 */
export async function requireInfo(folder: StateFolder): Promise<RootlessKitInfo> {
  const { path, apiSocket } = folder;
  if (!existsSync(path)) {
    throw new CliFailure(exitCodes.notFound, `there is no ${path}`, {
      hint: 'Start RootlessKit with --state-dir, and name that folder with --state-dir here. --wait waits for it.',
    });
  }
  const info = await infoIn(folder);
  if (info === undefined) {
    const reason = existsSync(apiSocket) ? 'nobody answers at' : 'there is no';
    throw new CliFailure(
      exitCodes.notFound,
      `no RootlessKit runs with the state directory ${path}: ${reason} ${apiSocket}`,
      { hint: 'Start RootlessKit first, or use --wait.' },
    );
  }
  await assertFree(folder, info);
  return info;
}

/** @throws CliFailure if the ports have a driver already */
async function assertFree({ apiSocket }: StateFolder, info: RootlessKitInfo): Promise<void> {
  const driver = info.portDriver?.driver ?? 'none';
  if (driver !== 'none') {
    throw new CliFailure(
      exitCodes.failed,
      `this RootlessKit has a port driver of its own: ${driver}`,
      {
        hint:
          'Start it with --port-driver=none. For rootless Docker, "spliceport enable docker --rootless" does it; ' +
          'then restart Docker: systemctl --user daemon-reload && systemctl --user restart docker',
      },
    );
  }
  if (!isLink(apiSocket)) return;
  const present = await get(apiSocket).catch(() => undefined);
  if (present?.portDriver === undefined) return;
  throw new CliFailure(exitCodes.failed, `spliceport serves ${apiSocket} already`, {
    hint: '"spliceport ls" shows it.',
  });
}

/** Puts a socket in the place of RootlessKit's. The former stays under another name. */
export function takePlace({ apiSocket, ownSocket }: StateFolder, socketPath: string): void {
  // By rename, so that there is an api.sock at any time.
  const partial = `${apiSocket}.${process.pid}`;
  symlinkSync(socketPath, partial);
  if (!isLink(apiSocket)) renameSync(apiSocket, ownSocket);
  renameSync(partial, apiSocket);
}

/** Undoes it, unless another has taken the place since. */
export function leavePlace({ apiSocket, ownSocket }: StateFolder): void {
  if (!isLink(apiSocket)) return;
  rmSync(apiSocket, { force: true });
  attempt(() => renameSync(ownSocket, apiSocket));
}

/** Removes what a driver that was killed has left, which would keep RootlessKit from starting. */
export function removeLeftovers({ apiSocket, ownSocket }: StateFolder): void {
  if (isLink(apiSocket)) rmSync(apiSocket, { force: true });
  rmSync(ownSocket, { force: true });
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function get(socketPath: string): Promise<RootlessKitInfo> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: '/v1/info', timeout: TIMEOUT_MS }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      answer.once('error', reject).once('end', () => {
        try {
          resolve(JSON.parse(text) as RootlessKitInfo);
        } catch (error) {
          reject(new Error('no JSON', { cause: error }));
        }
      });
    });
    call.once('timeout', () => call.destroy(new Error('no answer in time')));
    call.once('error', reject).end();
  });
}
