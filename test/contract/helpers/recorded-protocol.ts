// recorded-protocol.ts: what a shim and a resident of one version have said to each other, for
// those of later versions.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Channel } from '../../../src/remote/channel.js';
import { acceptUnix, connectUnix, listenUnix } from '../../../src/system.js';
import { Run, shimExecutable } from './run.js';
import { residentName } from './shim-folder.js';

const residentProgram = fileURLToPath(new URL('../../../lib/resident/main.cjs', import.meta.url));

/** A frame of either end. */
export interface RecordedFrame {
  readonly from: 'resident' | 'shim';
  readonly kind: string;
  /** How many descriptors came with it. */
  readonly fds: number;
  /** In base64. */
  readonly payload: string;
}

/** All connections of one container, one after the other. */
export interface Recording {
  readonly version: string;
  /** Where everything was; as long as every other {@link ProtocolGround.folder}. */
  readonly folder: string;
  /** Of the host; TCP and UDP. */
  readonly port: number;
  readonly containerPort: number;
  readonly connections: readonly (readonly RecordedFrame[])[];
}

/** A folder for a container, its settings and sockets. */
export class ProtocolGround {
  /** Its length never changes, so that it can take another one's place within a frame. */
  readonly folder = mkdtempSync('/tmp/spliceport-protocol-');
  readonly #shimSide: Listener;
  readonly #residentSide: Listener;
  #resident: ChildProcess | undefined;

  constructor(netnsPid: number) {
    symlinkSync(`/proc/${netnsPid}/ns/net`, join(this.folder, 'netns'));
    const log = { destination: join(this.folder, 'log'), sessions: true };
    const defaults = { workers: 1, log };
    writeFileSync(join(this.folder, 'settings.json'), JSON.stringify({ defaults }));
    this.#shimSide = new Listener(join(this.folder, 'shim/spliceport-resident'));
    this.#residentSide = new Listener(join(this.folder, 'own/spliceport-resident'));
  }

  /** Starts a container with a TCP and a UDP port. */
  run(port: number, containerPort: number): Run {
    const mapping = { host_ip: '127.0.0.1', host_port: port, container_port: containerPort };
    const config = {
      Mappings: ['tcp', 'udp'].map((protocol) => ({ ...mapping, range: 1, protocol })),
      NetNSPath: join(this.folder, 'netns'),
      ...{ ExitFD: 3, ReadyFD: 4, TmpDir: this.folder, ChildIP: '127.0.0.1' },
      ...{ ContainerID: 'c0ffee', RootlessCNI: true },
    };
    const env = {
      PATH: process.env['PATH'],
      XDG_RUNTIME_DIR: join(this.folder, 'shim'),
      SPLICEPORT_CONTROL_DIR: join(this.folder, 'control'),
      SPLICEPORT_CONFIG: join(this.folder, 'settings.json'),
    };
    return new Run(config, { command: [shimExecutable], env, cwd: '/' });
  }

  /** The next shim; undefined while there is none. */
  accept(): number | undefined {
    return this.#shimSide.accept();
  }

  /** A connection to the resident of this version, which is started if there is none. */
  connect(): number {
    this.#resident ??= spawn(process.execPath, [residentProgram], {
      stdio: ['ignore', 'ignore', 'inherit', this.#residentSide.fd],
      env: { XDG_RUNTIME_DIR: join(this.folder, 'own') },
    });
    return this.#residentSide.connect();
  }

  async killResident(): Promise<void> {
    const resident = this.#resident;
    this.#resident = undefined;
    if (resident === undefined) return;
    const exit = once(resident, 'exit');
    resident.kill('SIGKILL');
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killResident();
    for (const each of [this.#shimSide, this.#residentSide]) each.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** A listening socket where shims look for one. */
class Listener {
  readonly #folderFd: number;
  readonly fd: number;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folderFd = openSync(folder, 'r');
    this.fd = listenUnix('stream', this.#folderFd, residentName());
  }

  accept(): number | undefined {
    return acceptUnix(this.fd);
  }

  connect(): number {
    return connectUnix('stream', this.#folderFd, residentName());
  }

  close(): void {
    closeSync(this.fd);
    closeSync(this.#folderFd);
  }
}

/** Passes on what the two ends of a connection say, and notes it. */
export function passOn(shimFd: number, residentFd: number, frames: RecordedFrame[]): () => void {
  const ends: Partial<Record<RecordedFrame['from'], Channel>> = {};
  const close = () => {
    for (const end of Object.values(ends)) end.close();
  };
  const listen = (from: RecordedFrame['from'], to: RecordedFrame['from'], fd: number) => {
    ends[from] = new Channel(fd, {
      onMessage: (kind, payload, fds) => {
        frames.push({ from, kind, fds: fds.length, payload: payload.toString('base64') });
        ends[to]?.send(kind, payload, fds);
      },
      onEnd: close,
    });
  };
  listen('shim', 'resident', shimFd);
  listen('resident', 'shim', residentFd);
  return close;
}

/** The payload of a frame, moved to another place. */
export function movedPayload(
  { payload }: RecordedFrame,
  recording: Recording,
  to: { readonly folder: string; readonly port?: number },
): Buffer {
  const text = Buffer.from(payload, 'base64').toString('latin1');
  const moved = text.replaceAll(recording.folder, to.folder);
  if (to.port === undefined) return Buffer.from(moved, 'latin1');
  const endpoint = (port: number) => `127.0.0.1${String.fromCharCode(port & 0xff, port >> 8)}`;
  return Buffer.from(moved.replaceAll(endpoint(recording.port), endpoint(to.port)), 'latin1');
}
