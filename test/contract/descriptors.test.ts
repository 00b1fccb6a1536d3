// What the limit on open files does to a helper: UDP flows and TCP clients take their part of it,
// and no more.

import { join } from 'node:path';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container, type TcpService } from '../helpers/container.js';
import { openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { settled, until } from '../helpers/wait.js';
import { cli, CliRun, controlFolder, program } from './helpers/cli.js';
import { call } from './helpers/control.js';
import { requestReload } from './helpers/reload-client.js';
import {
  Caller,
  executable,
  freePorts,
  podmanMapping,
  Run,
  type PodmanMapping,
} from './helpers/run.js';

const PROMPT_MS = 1_000;
let container: Container;
let echo: TcpService;
let held: TcpService;
let caller: Caller;
/** Of the forwards: TCP, and UDP above. */
let port: number;
const clients: Socket[] = [];
const udpClients: UdpSocket[] = [];

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
  held = await container.tcp({ kind: 'hold' });
  await container.udp({ port: echo.port, echo: true });
});
afterAll(() => container.stop());
beforeEach(async () => {
  caller = new Caller(`/proc/${container.pid}/ns/net`);
  port = await freePorts(3);
});
afterEach(() => {
  for (const client of clients.splice(0)) client.resetAndDestroy();
  for (const client of udpClients.splice(0)) client.close();
  caller[Symbol.dispose]();
});

/** A helper that may open so many files, with a TCP forward and so many UDP forwards. */
function start(maxOpenFiles: number, udpForwards: number, tcpTarget = echo.port): Run {
  const mapping = (protocol: string, host_port: number, container_port: number): PodmanMapping =>
    podmanMapping({ host_ip: '127.0.0.1', host_port, container_port, protocol });
  const mappings = [mapping('tcp', port, tcpTarget)];
  for (let index = 1; index <= udpForwards; index += 1) {
    mappings.push(mapping('udp', port + index, echo.port));
  }
  return new Run(caller.config(mappings, { RootlessCNI: true, ChildIP: '127.0.0.1' }), {
    command: ['sh', '-c', `ulimit -n ${maxOpenFiles} && exec "$0"`, executable],
    env: { ...process.env, SPLICEPORT_CONTROL_DIR: controlFolder },
  });
}

/** Sends one byte each from many ports to many forwards, in turn. */
async function flood(count: number, ports: readonly number[]): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const client = await UdpSocket.bind();
    udpClients.push(client);
    await client.send('x', ports[index % ports.length] ?? 0);
  }
}

/** Expects it to be done soon. */
async function promptly<T>(what: string, act: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await act();
  expect(performance.now() - started, what).toBeLessThan(PROMPT_MS);
  return result;
}

/** What a new client gets, once: a datagram is not sent again. */
const datagram = async (to: number): Promise<string> => {
  const client = await UdpSocket.bind();
  udpClients.push(client);
  return (await client.ask('hello', to)).data.toString();
};

async function expectControl(run: Run): Promise<void> {
  const socket = join(controlFolder, `${run.pid}.sock`);
  const metrics = await promptly('metrics', () => call(socket, 'GET', '/metrics'));
  expect(metrics.status).toBe(200);
  const forwards = await promptly('the list', () => call(socket, 'GET', '/v1/forwards'));
  expect(forwards.status).toBe(200);
  const { stdout } = await cli(['ls', '--quiet']);
  expect(stdout).toContain(`${run.pid}/`);
}

const reload = (): Promise<string> =>
  requestReload('seqpacket', join(caller.folder, 'rp/c0ffee'), '"127.0.0.1"\n');

describe('UDP flows', () => {
  test.for([1, 2])(
    'from 5,000 ports to %i forwards leave descriptors for everyone else',
    { timeout: 60_000 },
    async (udpForwards) => {
      await using run = await start(4_096, udpForwards).ready();
      const ports = Array.from({ length: udpForwards }, (_, index) => port + 1 + index);
      await flood(5_000, ports);
      expect(await promptly('TCP', () => askTcp({ port }, 'hello'))).toBe('hello');
      for (const to of ports) {
        expect(await promptly('a new UDP client', () => datagram(to))).toBe('hello');
      }
      await expectControl(run);
      expect(await promptly('a reload', reload)).toBe('OK');
      expect(openFds(run.pid)).toBeLessThan(4_096 / 2 + 100);
      const socket = join(controlFolder, `${run.pid}.sock`);
      const { text } = await call(socket, 'GET', '/metrics');
      const displaced = text.match(/^spliceport_flows_displaced_total\{.*\} \d+$/gm) ?? [];
      expect(displaced).toHaveLength(udpForwards);
      for (const line of displaced) expect(line).not.toMatch(/ 0$/);
      // The latest have kept their flows.
      const latest = udpClients.at(-2);
      latest?.received.splice(0);
      expect((await latest?.ask('again', ports.at(-1) ?? 0))?.data.toString()).toBe('again');
      await run.letGo();
    },
  );
});

describe('TCP clients of the helper', () => {
  test.for([64, 512])(
    'that hold all they can get of %i descriptors leave some for reload and control',
    async (maxOpenFiles) => {
      await using run = await start(maxOpenFiles, 1, held.port).ready();
      while (clients.length < maxOpenFiles) clients.push(await connectTcp({ port }));
      const open = await settled(() => openFds(run.pid), 'the number of descriptors');
      expect(open).toBeGreaterThan(maxOpenFiles / 2);
      await expectControl(run);
      expect(await promptly('a reload', reload)).toBe('OK');
      expect(await promptly('a UDP client', () => datagram(port + 1))).toBe('hello');
      // They wait, and are served when there is room.
      for (const client of clients.splice(0)) client.resetAndDestroy();
      await until(() => openFds(run.pid) < open, 'descriptors are free');
      clients.push(await connectTcp({ port }));
      await run.letGo();
    },
  );
});

describe('TCP clients of spliceport forward', () => {
  test.for([64, 512])(
    'that hold all they can get of %i descriptors leave some for the control socket',
    async (maxOpenFiles) => {
      const command = ['sh', '-c', `ulimit -n ${maxOpenFiles} && exec "$0" "$@"`];
      await using run = new CliRun(
        ['forward', '--json', `127.0.0.1:0:${held.port}`, '--pid', String(container.pid)],
        { command: [...command, process.execPath, program] },
      );
      const { controlSocket, forwards } = await run.event('ready');
      const hostPort = forwards[0]?.host.port ?? 0;
      while (clients.length < maxOpenFiles) clients.push(await connectTcp({ port: hostPort }));
      await settled(() => openFds(run.pid), 'the number of descriptors');
      expect((await cli(['ls', '--quiet'])).stdout).toBe(`${run.pid}/1\n`);
      expect((await call(controlSocket ?? '', 'GET', '/metrics')).status).toBe(200);
    },
  );
});

describe('a limit on open files that leaves none for clients', () => {
  test(
    'is rejected at the start, and the lowest one that leaves some is accepted',
    { timeout: 60_000 },
    async () => {
      const started: number[] = [];
      for (let most = 24; most <= 64; most += 4) {
        await using run = start(most, 0);
        const said = await run.readiness;
        if (said === '1') {
          expect(await promptly(`TCP with ${most}`, () => askTcp({ port }, 'hello'))).toBe('hello');
          started.push(most);
          await run.letGo();
        } else {
          const { code, stderr, stdout } = await run.outcome;
          expect({ most, code, said }).toEqual({ most, code: 1, said: '' });
          expect(stderr + stdout).toMatch(/too many open files|EMFILE/);
        }
      }
      expect(started).toContain(64);
      expect(started).not.toContain(24);
    },
  );

  test('is rejected too if the ports alone use all of it', async () => {
    const first = await freePorts(210);
    const config = caller.config([
      { host_ip: '127.0.0.1', container_port: 1, host_port: first, range: 210, protocol: 'tcp' },
    ]);
    const command = ['sh', '-c', 'ulimit -n 256 && exec "$0"', executable];
    await using run = new Run(config, { command });
    const { code, stdout, stderr } = await run.outcome;
    expect(code).toBe(1);
    expect(stderr + stdout).toMatch(/too many open files/);
  });
});

describe('two helpers that forward to each other', () => {
  test('answer on their control sockets meanwhile, and end the sessions when the client disconnects', async () => {
    using both = new Caller();
    const leading = (from: number, to: number): Run =>
      new Run(
        both.config(
          [
            {
              host_ip: '127.0.0.1',
              container_port: to,
              host_port: from,
              range: 1,
              protocol: 'tcp',
            },
          ],
          { ChildIP: '127.0.0.1' },
        ),
        {
          command: ['sh', '-c', 'ulimit -n 512 && exec "$0"', executable],
          env: { ...process.env, SPLICEPORT_CONTROL_DIR: controlFolder },
        },
      );
    await using one = await leading(port, port + 1).ready();
    await using two = await leading(port + 1, port).ready();
    const idle = [openFds(one.pid), openFds(two.pid)];
    const client = await connectTcp({ port });
    await until(() => openFds(one.pid) > 256 && openFds(two.pid) > 256, 'the loop fills up');
    await expectControl(one);
    await expectControl(two);
    client.resetAndDestroy();
    await until(
      () => openFds(one.pid) < (idle[0] ?? 0) + 32 && openFds(two.pid) < (idle[1] ?? 0) + 32,
      'the descriptors are free',
      20_000,
    );
  });
});
