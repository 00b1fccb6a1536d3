// shim-folder.ts: an installation of the shim in a folder of its own: with an own-process script
// that says that it was run, and a program for the resident that the test writes.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAlive } from '../../helpers/process-facts.js';
import { until } from '../../helpers/wait.js';
import { Run, type Outcome, type RunOptions } from './run.js';

/** The shim as it was compiled. */
export const shim = fileURLToPath(new URL('../../../build/Release/rootlessport', import.meta.url));

/** How the script that takes the shim's place ends, given this configuration. */
export function ownProcess(configuration: string | object): Outcome {
  const text = typeof configuration === 'string' ? configuration : JSON.stringify(configuration);
  return { code: 7, signal: null, stdout: `own process: ${text}`, stderr: '' };
}

/** The name of the socket of this user's resident, in this network namespace. */
export function residentName(): string {
  const [user, network] = ['user', 'net'].map((name) => statSync(`/proc/self/ns/${name}`).ino);
  return `${user}-${network}-v1`;
}

/**
 * What a program for a resident begins with: `note` writes a line that the test reads, `serve`
 * listens.
 */
const prelude = (notes: string) => `
  const fs = require('fs');
  const note = (text) => fs.appendFileSync(${JSON.stringify(notes)}, process.pid + ' ' + text + '\\n');
  const frame = (kind, payload = Buffer.alloc(0)) => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(payload.length);
    header.write(kind, 4);
    return Buffer.concat([header, payload]);
  };
  // Sections E and R: a request as the first one of a connection.
  const readyRequest = () => {
    const payload = Buffer.alloc(4 + 5 + 9);
    payload.writeUInt32LE(1);
    payload.write('R', 4);
    payload.writeUInt32LE(9, 5);
    payload.writeInt32LE(3, 9);
    payload.writeInt32LE(4, 13);
    return frame('r', payload);
  };
  const serve = (onConnection) =>
    require('net').createServer((socket) => {
      socket.on('error', () => undefined).on('data', () => undefined);
      onConnection(socket);
    }).listen({ fd: 3 });
  note('start');
`;

/** Residents by what they do. */
export const programs = {
  serves: `serve((socket) => { socket.write(frame('a')); socket.once('data', () => socket.write(readyRequest())); });`,
  dies: 'process.exit(1);',
  stops: `process.kill(process.pid, 'SIGSTOP');`,
  'closes every connection': `serve((socket) => socket.destroy());`,
} as const;

/** An installation, with a runtime folder. */
export class ShimFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'spliceport-shim-'));
  readonly command = join(this.path, 'libexec/rootlessport');
  readonly runtime = join(this.path, 'runtime');
  readonly residentFolder = join(this.runtime, 'spliceport-resident');
  readonly socket = join(this.residentFolder, residentName());
  readonly #notes = join(this.path, 'notes');

  constructor(program: string = programs.serves) {
    for (const name of ['libexec/own-process', 'lib/resident', 'runtime']) {
      mkdirSync(join(this.path, name), { recursive: true, mode: 0o755 });
    }
    copyFileSync(shim, this.command);
    this.writeScript("printf 'own process: '; cat; exit 7");
    writeFileSync(this.#notes, '');
    this.writeProgram(program);
  }

  /** What is run in place of the shim, in every case of doubt. */
  writeScript(lines: string): void {
    const script = join(this.path, 'libexec/own-process/rootlessport');
    writeFileSync(script, `#!/bin/sh\n${lines}\n`);
    chmodSync(script, 0o755);
  }

  writeProgram(program: string): void {
    writeFileSync(join(this.path, 'lib/resident/main.cjs'), prelude(this.#notes) + program);
  }

  get env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      XDG_RUNTIME_DIR: this.runtime,
      SPLICEPORT_NODE: process.execPath,
    };
  }

  run(input: string | Buffer | object, options: RunOptions = {}): Run {
    return new Run(input, {
      command: [this.command],
      ...options,
      env: { ...this.env, ...options.env },
    });
  }

  /** What residents have noted, each as its process and a text. */
  notes(): { readonly pid: number; readonly text: string }[] {
    const lines = readFileSync(this.#notes, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => {
      const space = line.indexOf(' ');
      return { pid: Number(line.slice(0, space)), text: line.slice(space + 1) };
    });
  }

  /** The processes of the residents that were started. */
  started(): number[] {
    return this.notes().flatMap(({ pid, text }) => (text === 'start' ? [pid] : []));
  }

  /** What is in the folder of residents' sockets. */
  files(): string[] {
    return existsSync(this.residentFolder) ? readdirSync(this.residentFolder).sort() : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.started()) {
      if (!isAlive(pid)) continue;
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(pid), 'the end of a resident');
    }
    rmSync(this.path, { recursive: true });
  }
}
