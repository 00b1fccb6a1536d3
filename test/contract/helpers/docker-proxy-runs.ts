// docker-proxy-runs.ts: libexec/docker-proxy as dockerd starts it, in folders of its own, beside
// the files that dockerd keeps of its containers.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { killResidents, residentsOf } from '../../helpers/resident.js';
import { until } from '../../helpers/wait.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const proxyProgram = join(root, 'libexec/docker-proxy');

/** A started proxy. */
export interface ProxyRun {
  readonly child: ChildProcess;
  /** What dockerd reads from descriptor 3, to its end. */
  readonly answer: Promise<string>;
  readonly exited: Promise<number | null>;
  /** What it has said on standard error so far. */
  readonly said: () => string;
}

export interface ProxyOptions {
  readonly file?: string;
  /** Descriptor 4. */
  readonly fd4?: number | 'ignore' | 'pipe';
  readonly fd3?: 'pipe' | 'none';
  /** In place of the usual variables. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A container as dockerd writes it. */
export interface StoredContainer {
  readonly id: string;
  readonly name: string;
  readonly port: number;
  readonly containerPort: number;
  readonly runs: boolean;
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Proxies, which end with this, and their resident. */
export class DockerProxyRuns {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'spliceport-docker-')));
  readonly controlFolder = join(this.folder, 'control');
  readonly settingsFile = join(this.folder, 'settings.json');
  readonly #started: ChildProcess[] = [];
  readonly #portsOf = new Map<string, object>();

  constructor() {
    mkdirSync(join(this.folder, 'data/tmp'), { recursive: true });
    writeFileSync(this.settingsFile, '');
  }

  get env(): NodeJS.ProcessEnv {
    return {
      // Without it, Docker's own proxy may do what this one should.
      SPLICEPORT_DOCKER_PROXY_TRIED: '1',
      SPLICEPORT_CONTROL_DIR: this.controlFolder,
      SPLICEPORT_CONFIG: this.settingsFile,
      SPLICEPORT_NODE: process.execPath,
      XDG_RUNTIME_DIR: this.folder,
      // dockerd sets it.
      TMPDIR: join(this.folder, 'data/tmp'),
    };
  }

  run(args: readonly string[], options: ProxyOptions = {}): ProxyRun {
    const { file = proxyProgram, fd3 = 'pipe', fd4, env = this.env } = options;
    const stdio = ['ignore' as const, 'pipe' as const, 'pipe' as const];
    const rest = [
      ...(fd3 === 'pipe' ? ['pipe' as const] : []),
      ...(fd4 === undefined ? [] : [fd4]),
    ];
    const child = spawn(file, args, { stdio: [...stdio, ...rest], env });
    this.#started.push(child);
    let [text, said] = ['', ''];
    child.stderr?.setEncoding('utf8').on('data', (more: string) => (said += more));
    const pipe = child.stdio[3] as Readable | undefined;
    const answer = new Promise<string>((resolve) => {
      pipe?.setEncoding('utf8').on('data', (more: string) => (text += more));
      pipe?.on('end', () => resolve(text));
    });
    const exited = once(child, 'exit').then(([code]) => code as number | null);
    return { child, answer, exited, said: () => said };
  }

  /** Writes a container as dockerd does; again in place of the one with its id. */
  store({ id, name, port, containerPort, runs }: StoredContainer): void {
    const folder = join(this.folder, 'data/containers', id);
    mkdirSync(folder, { recursive: true });
    const ports = {
      ...this.#portsOf.get(id),
      [`${containerPort}/tcp`]: [{ HostIp: '', HostPort: `${port}` }],
    };
    this.#portsOf.set(id, ports);
    const networks = { bridge: { IPAddress: runs ? '127.0.0.1' : '', GlobalIPv6Address: '' } };
    const state = {
      ID: id,
      Name: `/${name}`,
      State: { Running: runs },
      NetworkSettings: { Ports: runs ? ports : null, Networks: networks },
    };
    writeFileSync(join(folder, 'config.v2.json'), JSON.stringify(state));
    writeFileSync(join(folder, 'hostconfig.json'), JSON.stringify({ PortBindings: ports }));
  }

  settings(file: object): void {
    writeFileSync(this.settingsFile, JSON.stringify(file));
  }

  residents(): number[] {
    return residentsOf(this.folder);
  }

  /** The names in the folder of control sockets. */
  sockets(): string[] {
    try {
      return readdirSync(this.controlFolder);
    } catch {
      return [];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#started) child.kill('SIGKILL');
    killResidents(this.folder);
    await until(() => this.residents().length === 0, 'the end of every resident');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The flags of a proxy from a port of 127.0.0.1 to another. */
export function proxyFlags(
  hostPort: number,
  containerPort: number,
  more: Readonly<Record<string, string>> = {},
): string[] {
  const values = {
    proto: 'tcp',
    'host-ip': '127.0.0.1',
    'host-port': `${hostPort}`,
    'container-ip': '127.0.0.1',
    'container-port': `${containerPort}`,
    ...more,
  };
  return Object.entries(values).flatMap(([name, value]) => [`-${name}`, value]);
}
