// machine.ts: a throw-away machine, which is a set of namespaces with a user in them that may run
// rootless podman.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until, within } from '../../helpers/wait.js';
import { execute, type Output } from './execute.js';

const script = fileURLToPath(new URL('machine.sh', import.meta.url));
/** The Debian root whose programs run, in place of this machine's: see scripts/debian-root.sh. */
export const debianRoot = process.env['SPLICEPORT_DEBIAN_ROOT'];
const startMs = 20_000;
const stopMs = 10_000;

/** A process of the machine, by its pid out here. */
export interface MachineProcess {
  readonly pid: number;
  /** The file that it runs. */
  readonly exe: string;
  readonly commandLine: readonly string[];
}

/** How to run a command in the machine. */
export interface RunOptions {
  /** Variables besides those that a login sets. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly withinMs?: number;
}

/**
 * Mount, pid, network and uts namespaces, prepared by machine.sh. Its network namespace is what
 * podman takes for the host's. Needs root, because only root may give the user subordinate ids.
 * Nothing of it outlives this process.
 */
export class Machine {
  readonly #process: ChildProcess;
  readonly #uid: number;
  /** Pid, out here, of the machine's first process. */
  readonly pid: number;

  private constructor(process: ChildProcess, pid: number, uid: number) {
    this.#process = process;
    this.pid = pid;
    this.#uid = uid;
  }

  /** Makes the namespaces and what is in them. */
  static async start(): Promise<Machine> {
    const unshare = ['--mount', '--pid', '--net', '--uts', '--ipc', '--fork', '--kill-child'];
    const init = spawn(
      'unshare',
      [
        ...unshare,
        'bash',
        script,
        process.execPath,
        ...(debianRoot === undefined ? [] : [debianRoot]),
      ],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    let errors = '';
    let ready = '';
    init.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    init.stdout.setEncoding('utf8').on('data', (text: string) => (ready += text));
    const ended = once(init, 'close').then(() => {
      throw new Error(`the machine did not start: ${errors}`);
    });
    const [pid = 0, uid = 0] = await Promise.race([
      until(() => ready.includes('\n') && ready.split(' ').map(Number), 'a machine', startMs),
      ended,
    ]);
    ended.catch(() => undefined); // From here on an end is what stop() asks for.
    return new Machine(init, pid, uid);
  }

  /** Where a file of the machine is out here. */
  outside(file: string): string {
    return path.join(`/proc/${this.pid}/root`, file);
  }

  /** Runs a command as root, in all of the machine's namespaces. */
  asRoot(command: readonly string[], options: RunOptions = {}): Promise<Output> {
    return execute('nsenter', [...this.#enter(), ...command], options);
  }

  /** Runs a command as the user, with the environment of a fresh login. */
  asUser(command: readonly string[], options: RunOptions = {}): Promise<Output> {
    const env = {
      HOME: '/home/spliceport-test',
      USER: 'spliceport-test',
      LOGNAME: 'spliceport-test',
      PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin',
      XDG_RUNTIME_DIR: `/run/user/${this.#uid}`,
      ...options.env,
    };
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const { input, withinMs } = options;
    return execute(
      'nsenter',
      [...this.#enter(), ...this.#user(), 'env', '-i', '-C', env.HOME, ...variables, ...command],
      { ...(input !== undefined && { input }), ...(withinMs !== undefined && { withinMs }) },
    );
  }

  /** What runs in the machine but not in its containers, which have pid namespaces of their own. */
  processes(): MachineProcess[] {
    const namespace = readlinkSync(`/proc/${this.pid}/ns/pid`);
    return readdirSync('/proc').flatMap((entry) => {
      try {
        if (!/^\d+$/.test(entry) || readlinkSync(`/proc/${entry}/ns/pid`) !== namespace) return [];
        const commandLine = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0').slice(0, -1);
        return [{ pid: Number(entry), exe: readlinkSync(`/proc/${entry}/exe`), commandLine }];
      } catch {
        return []; // It has ended in between.
      }
    });
  }

  /** Ends everything in the machine; settles when all of it is gone. */
  async stop(): Promise<void> {
    const closed = once(this.#process, 'close');
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.stdin?.end();
    await within(closed, 'the end of a machine', stopMs);
  }

  #enter(): string[] {
    return ['--target', String(this.pid), '--mount', '--pid', '--net', '--uts', '--ipc', '--'];
  }

  #user(): string[] {
    return ['setpriv', `--reuid=${this.#uid}`, `--regid=${this.#uid}`, '--init-groups'];
  }
}
