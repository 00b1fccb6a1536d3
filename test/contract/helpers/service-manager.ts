// service-manager.ts: plays systemd: a datagram socket for the states of services, and sockets
// passed to them.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { binding, isNativeFailure } from '../../../src/engine/binding.js';
import type { Tool } from '../../helpers/tools.js';
import { until } from '../../helpers/wait.js';

export const python: Tool = { command: 'python3', package: 'python3' };

/** Prints each message, with the pid that the kernel gives for its sender. */
const receiver = `
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind('\\0' + sys.argv[1][1:] if sys.argv[1][0] == '@' else sys.argv[1])
print('{"pid": 0, "text": ""}', flush=True)
while True:
    data, parts, _, _ = s.recvmsg(4096, 256)
    pid = struct.unpack('3i', parts[0][2])[0]
    print(json.dumps({'pid': pid, 'text': data.decode()}), flush=True)
`;

/** A message of a service. */
interface Message {
  readonly pid: number;
  readonly text: string;
}

/** A socket that services notify. */
export class NotifySocket {
  /** For NOTIFY_SOCKET. */
  readonly path: string;
  readonly #process: ChildProcess;
  readonly #messages: Message[] = [];

  private constructor(path: string) {
    this.path = path;
    const child = spawn('python3', ['-c', receiver, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#messages.push(JSON.parse(line) as Message);
    });
  }

  static async open(path: string): Promise<NotifySocket> {
    const socket = new NotifySocket(path);
    await until(() => socket.#messages.shift(), 'a socket of a service manager', 20_000);
    return socket;
  }

  /** The first message with this line, once it is there. */
  async message(line: RegExp): Promise<Message> {
    const find = () => this.#messages.find(({ text }) => hasLine(text, line));
    try {
      return await until(find, `the message ${line.source}`, 20_000);
    } catch (error) {
      const all = this.#messages.map(({ text }) => text).join('');
      throw new Error(`${(error as Error).message}; there are\n${all}`, { cause: error });
    }
  }

  /** The number of messages with this line so far. */
  count(line: RegExp): number {
    return this.#messages.filter(({ text }) => hasLine(text, line)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

function hasLine(text: string, line: RegExp): boolean {
  return text.split('\n').some((each) => line.test(each));
}

/** A socket as a socket unit opens it. */
export function openSocket(
  protocol: 'tcp' | 'udp' = 'tcp',
  address = '127.0.0.1',
  port = 0,
): { readonly fd: number; readonly port: number } {
  const ipv6Only = address !== '::';
  const opened = binding.openHostSockets([{ protocol, address, port, count: 1, ipv6Only }]);
  if (isNativeFailure(opened)) throw new Error(opened.syscall);
  return { fd: opened.fds[0] ?? -1, port: opened.ports[0] ?? 0 };
}

/** The same, on a port whose predecessor is free. */
export function openSocketAfterFreePort(): ReturnType<typeof openSocket> {
  for (;;) {
    const socket = openSocket();
    try {
      closeSync(openSocket('tcp', '127.0.0.1', socket.port - 1).fd);
      return socket;
    } catch {
      closeSync(socket.fd);
    }
  }
}

/** Runs a command with LISTEN_PID as systemd sets it: to the pid that the command will have. */
export const withListenPid = ['sh', '-c', 'LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$@"', 'sh'];
