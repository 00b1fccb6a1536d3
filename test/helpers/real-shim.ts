// real-shim.ts: a shim as it was compiled, whose resident is the process of the test.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepResident, ready } from '../../src/remote/sections.js';
import { Shim, type ShimEvents } from '../../src/remote/shim.js';
import { acceptUnix, listenUnix } from '../../src/system.js';
import { until } from './wait.js';

const program = fileURLToPath(new URL('../../build/Release/rootlessport', import.meta.url));
const EXIT_FD = 3;
const READY_FD = 4;

/** The socket of this user's resident, in the namespaces of this process. */
function socketName(): string {
  const [user, network] = ['user', 'net'].map((name) => statSync(`/proc/self/ns/${name}`).ino);
  return `${user}-${network}-v1`;
}

/** Where shims find the test. */
class Meeting {
  readonly folder = mkdtempSync(join(tmpdir(), 'spliceport-'));
  readonly #folderFd: number;
  readonly #listener: number;

  constructor() {
    const path = join(this.folder, 'spliceport-resident');
    mkdirSync(path, { mode: 0o700 });
    this.#folderFd = openSync(path, 'r');
    this.#listener = listenUnix('stream', this.#folderFd, socketName());
  }

  /** The next shim that comes. */
  async accept(events: Partial<ShimEvents> = {}): Promise<Shim> {
    let fd: number | undefined;
    await until(() => (fd ??= acceptUnix(this.#listener)) !== undefined, 'a shim');
    const shim = new Shim(fd ?? -1, '0.1.0', {
      onHello: () => undefined,
      onReload: () => undefined,
      onControlClient: closeSync,
      onEnd: () => undefined,
      ...events,
    });
    await until(() => shim.hello, 'hello');
    return shim;
  }

  close(): void {
    closeSync(this.#listener);
    closeSync(this.#folderFd);
    rmSync(this.folder, { recursive: true });
  }
}

/** A shim that is ready, and the connection to it. */
export class RealShim {
  readonly process: ChildProcess;
  shim: Shim;
  readonly #meeting: Meeting;

  private constructor(process: ChildProcess, shim: Shim, meeting: Meeting) {
    this.process = process;
    this.shim = shim;
    this.#meeting = meeting;
  }

  /** @param without - Capabilities that it does without, as setpriv(1) takes them. */
  static async start(
    events: Partial<ShimEvents> = {},
    without: readonly string[] = [],
  ): Promise<RealShim> {
    const meeting = new Meeting();
    const bounds = `--bounding-set=${without.map((each) => `-${each}`).join(',')}`;
    const isWhole = without.length === 0;
    const child = spawn(isWhole ? program : 'setpriv', isWhole ? [] : [bounds, program], {
      stdio: ['pipe', 'ignore', 'inherit', 'pipe', 'pipe'],
      env: { ...process.env, XDG_RUNTIME_DIR: meeting.folder },
    });
    child.stdin?.end('{}');
    const shim = await meeting.accept(events);
    await shim.request([ready(EXIT_FD, READY_FD)]);
    return new RealShim(child, shim, meeting);
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  /**
   * Has it come again, as to another resident.
   * @param lastWork - What the resident before still asks for, without an answer.
   */
  async meetAgain(events: Partial<ShimEvents> = {}, lastWork?: () => Promise<void>): Promise<Shim> {
    await this.shim.request([keepResident(true)]);
    if (lastWork !== undefined) {
      this.signal('SIGSTOP');
      await lastWork();
    }
    this.shim.close();
    this.signal('SIGCONT');
    this.shim = await this.#meeting.accept(events);
    return this.shim;
  }

  async stop(): Promise<void> {
    this.signal('SIGKILL');
    if (this.process.exitCode === null && this.process.signalCode === null) {
      await once(this.process, 'exit');
    }
    this.shim.close();
    this.#meeting.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
