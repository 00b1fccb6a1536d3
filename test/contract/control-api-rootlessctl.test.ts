// RootlessKit's own client, rootlessctl, with a forwarder and with the helper. Speaks its words
// where it does.

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container, type TcpService, type UdpService } from '../helpers/container.js';
import { askTcp, isRefused } from '../helpers/tcp-client.js';
import { isMissing } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { until } from '../helpers/wait.js';
import { call, Controlled } from './helpers/control.js';
import { requestReload } from './helpers/reload-client.js';
import { Caller, freePort, podmanMapping, Run } from './helpers/run.js';

const tool = { command: 'rootlessctl', package: 'rootlesskit' };
const isAbsent = isMissing(tool, 'the control API with rootlessctl');

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Something with a control socket and one port, which leads to the echo server. */
interface Subject extends AsyncDisposable {
  readonly socket: string;
  readonly hostPort: number;
}

let container: Container;
let echo: TcpService;
let datagrams: UdpService;

beforeAll(async () => {
  container = await Container.start();
  echo = await container.tcp({ kind: 'echo' });
  datagrams = await container.udp({ echo: true });
});
afterAll(() => container.stop());

async function startForwarder(): Promise<Subject> {
  const controlled = new Controlled(`/proc/${container.pid}/ns/net`);
  const { host } = await controlled.forwarder.add(`0:${echo.port}`);
  return {
    socket: controlled.path,
    hostPort: host.port,
    [Symbol.asyncDispose]: () => controlled[Symbol.asyncDispose](),
  };
}

async function startHelper(changes: object = {}): Promise<Subject & { readonly caller: Caller }> {
  const caller = new Caller(`/proc/${container.pid}/ns/net`);
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-control-'));
  const hostPort = await freePort();
  const mapping = podmanMapping({ host_port: hostPort, container_port: echo.port });
  const run = new Run(caller.config([mapping], { ...changes }), {
    env: { ...process.env, SPLICEPORT_CONTROL_DIR: folder },
  });
  await run.ready();
  const socket = join(folder, `${run.pid}.sock`);
  await until(() => existsSync(socket), 'a control socket');
  return {
    socket,
    hostPort,
    caller,
    [Symbol.asyncDispose]: async () => {
      await run[Symbol.asyncDispose]();
      caller[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

function control(socket: string, ...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const all = ['--socket', socket, ...args];
    execFile('rootlessctl', all, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

/** What it prints with --json: a value on each line, or one on many. */
function valuesOf({ stdout }: Result): unknown[] {
  const text = stdout.trim().replaceAll(/\n(?=\{)/g, ',');
  return JSON.parse(`[${text}]`) as unknown[];
}

function rowsOf({ stdout }: Result): string[][] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}

describe.skipIf(isAbsent).each([
  ['a forwarder', startForwarder],
  ['the helper', startHelper],
] as const)('rootlessctl with %s', (_, start) => {
  let subject: Subject;
  const ctl = (...args: string[]) => control(subject.socket, ...args);

  beforeEach(async () => {
    subject = await start();
  });
  afterEach(() => subject[Symbol.asyncDispose]());

  test('lists ports', async () => {
    expect(rowsOf(await ctl('list-ports'))).toEqual([
      ['ID', 'PROTO', 'PARENTIP', 'PARENTPORT', 'CHILDIP', 'CHILDPORT'],
      ['1', 'tcp', '0.0.0.0', String(subject.hostPort), '127.0.0.1', String(echo.port)],
    ]);
    const spec = { proto: 'tcp', parentIP: '0.0.0.0', childIP: '127.0.0.1' };
    expect(valuesOf(await ctl('list-ports', '--json'))).toEqual([
      { id: 1, spec: { ...spec, parentPort: subject.hostPort, childPort: echo.port } },
    ]);
  });

  test('adds ports, which are open then and listed as requested', async () => {
    const [first, second, third] = [await freePort(), await freePort(), await freePort()];
    const specs = [
      `127.0.0.1:${first}:${echo.port}/tcp`,
      `[::1]:${second}:127.0.0.1:${datagrams.port}/udp`,
    ];
    const added = await ctl('add-ports', ...specs);
    expect(added).toEqual({ code: 0, stdout: '2\n3\n', stderr: '' });
    expect(await askTcp({ port: first }, 'hello')).toBe('hello');
    using client = await UdpSocket.bind({ address: '::1' });
    expect((await client.ask('hello', second, '::1')).data.toString()).toBe('hello');

    const withJson = await ctl('add-ports', '--json', `:${third}:${echo.port}/tcp4`);
    const fourth = { id: 4, spec: { proto: 'tcp4', parentPort: third, childPort: echo.port } };
    expect(withJson.stderr).toBe('');
    expect(valuesOf(withJson)).toEqual([fourth]);
    expect(valuesOf(await ctl('list-ports', '--json')).slice(1)).toEqual([
      {
        id: 2,
        spec: { proto: 'tcp', parentIP: '127.0.0.1', parentPort: first, childPort: echo.port },
      },
      {
        id: 3,
        spec: {
          proto: 'udp',
          parentIP: '::1',
          parentPort: second,
          childIP: '127.0.0.1',
          childPort: datagrams.port,
        },
      },
      fourth,
    ]);
  });

  test('removes ports, whose ids are not used again', async () => {
    expect(await ctl('remove-ports', '1')).toEqual({ code: 0, stdout: '1\n', stderr: '' });
    expect(await isRefused({ port: subject.hostPort })).toBe(true);
    expect(await ctl('list-ports', '--json')).toEqual({ code: 0, stdout: '', stderr: '' });
    const again = await ctl('add-ports', `0.0.0.0:${subject.hostPort}:${echo.port}/tcp`);
    expect(again.stdout).toBe('2\n');
    expect(await askTcp({ address: '::1', port: subject.hostPort }, 'hello')).toBe('hello');
  });

  test('shows information about the port driver', async () => {
    const text = await ctl('info');
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^- REST API version: 1\.1\.1$/m);
    expect(text.stdout).toMatch(/^- Port Driver: spliceport$/m);
    const [info] = valuesOf(await ctl('info', '--json'));
    expect(info).toMatchObject({
      apiVersion: '1.1.1',
      stateDir: join(subject.socket, '..'),
      networkDriver: { driver: 'none' },
      portDriver: { driver: 'spliceport', protos: expect.arrayContaining(['tcp', 'udp']) as [] },
    });
  });

  test.each<[what: string, args: string[], text: string | RegExp]>([
    ['an unknown id', ['remove-ports', '99'], 'unknown id: 99'],
    ['a taken port', ['add-ports', '0.0.0.0:HOST:80/tcp'], 'conflict with ID 1'],
    ['sctp', ['add-ports', '127.0.0.1:1234:80/sctp'], 'unsupported port protocol sctp'],
    [
      'an address that the host has not',
      ['add-ports', '192.0.2.1:12345:80/tcp'],
      'listen tcp 192.0.2.1:12345: bind: cannot assign requested address',
    ],
    [
      'one address for both families that only has one',
      ['add-ports', '127.0.0.1:12345:80/tcp6'],
      /^listen tcp6: address 127\.0\.0\.1: no suitable address found$/,
    ],
  ])('reports why it rejects %s', async (_what, args, text) => {
    const filled = args.map((arg) => arg.replace('HOST', String(subject.hostPort)));
    const { code, stderr } = await ctl(...filled);
    expect(code).toBe(1);
    expect(stderr.trim().replace(/^error: /, '')).toEqual(
      typeof text === 'string' ? text : (expect.stringMatching(text) as string),
    );
    expect(rowsOf(await ctl('list-ports'))).toHaveLength(2);
  });

  test.each<[body: unknown, text: string]>([
    [{}, 'unknown proto: ""'],
    [{ proto: 'ip' }, 'unknown proto: "ip"'],
    [{ proto: 'tcp', parentIP: 'x' }, 'invalid ParentIP: "x"'],
    [{ proto: 'tcp', childIP: 'y' }, 'invalid ChildIP: "y"'],
    [{ proto: 'tcp' }, 'invalid ParentPort: 0'],
    [{ proto: 'tcp', parentPort: 70_000 }, 'invalid ParentPort: 70000'],
    [{ proto: 'tcp', parentPort: -1 }, 'invalid ParentPort: -1'],
    [{ proto: 'tcp', parentPort: 8080, childPort: 0 }, 'invalid ChildPort: 0'],
    [{ proto: 'tcp', parentPort: null, childIP: null }, 'invalid ParentPort: 0'],
  ])('gets RootlessKit’s own error texts: %j', async (body, message) => {
    const { status, json } = await call(subject.socket, 'POST', '/v1/ports', body);
    expect({ status, json }).toEqual({ status: 400, json: { message } });
  });

  test('lists a port with its current target', async () => {
    const port = await freePort();
    await ctl('add-ports', `127.0.0.1:${port}:${echo.port}/tcp`);
    await call(subject.socket, 'PATCH', '/v1/forwards/2', { address: '127.0.0.2' });
    expect(rowsOf(await ctl('list-ports'))[2]).toEqual([
      ...['2', 'tcp', '127.0.0.1', String(port), '127.0.0.2', String(echo.port)],
    ]);
  });
});

describe.skipIf(isAbsent)('a port added to the helper without a container address', () => {
  test('is forwarded to the container’s address, also after a reload', async () => {
    const greetings = ['127.0.0.2', '127.0.0.3'];
    const [first] = await Promise.all(
      greetings.map((address) =>
        container.tcp({ kind: 'greet', text: address }, { address, port: 7_777 }),
      ),
    );
    await using helper = await startHelper({ ChildIP: '127.0.0.2', RootlessCNI: true });
    const add = async () => {
      const port = await freePort();
      const { stderr } = await control(helper.socket, 'add-ports', `127.0.0.1:${port}:7777/tcp`);
      expect(stderr).toBe('');
      return port;
    };
    const before = await add();
    expect(first?.port).toBe(7_777);
    expect(await askTcp({ port: before })).toBe('127.0.0.2');
    const reply = await requestReload(
      'seqpacket',
      join(helper.caller.folder, 'rp', 'c0ffee'),
      '"127.0.0.3"\n',
    );
    expect(reply).toBe('OK');
    expect(await askTcp({ port: before })).toBe('127.0.0.3');
    expect(await askTcp({ port: await add() })).toBe('127.0.0.3');
  });
});
