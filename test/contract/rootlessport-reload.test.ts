// The socket that Podman tells a container's new address through.

import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { UnixSocketType } from '../../src/system.js';
import { type TcpService } from '../helpers/container.js';
import { cpuMs, openFds } from '../helpers/process-facts.js';
import { askTcp, connectTcp, nextText } from '../helpers/tcp-client.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { staysTrueFor, until } from '../helpers/wait.js';
import { expectRefusal } from './helpers/refusal.js';
import { ReloadClient, requestReload } from './helpers/reload-client.js';
import { Caller, freePort, Run, type RunOptions } from './helpers/run.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();

const MiB = 1024 * 1024;
const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;
/**
 * A TCP server on each of the addresses greets with the address; UDP sockets on two of them answer.
 */
let containerPort: number;

beforeAll(async () => {
  const [first, ...others] = addresses;
  const greet = (address: string) => ({ kind: 'greet', text: address }) as const;
  containerPort = (await fixture.container.tcp(greet(first), { address: first })).port;
  for (const address of [...others, '::1']) {
    await fixture.container.tcp(greet(address), { address, port: containerPort });
  }
});

const range = () => [fixture.mapping({ container_port: containerPort })];
const single = () => [{ hostPort: fixture.port, containerPort, protocol: 'tcp', hostIP: '' }];
const socketPath = () => join(fixture.caller.folder, 'rp/c0ffee');

/** A running helper with a reload socket. */
async function start(
  mappings: readonly object[],
  changes: Readonly<Record<string, unknown>> = {},
  options: RunOptions = {},
): Promise<Run> {
  const config = fixture.caller.config(mappings, { RootlessCNI: true, ...changes });
  return new Run(config, options).ready();
}

/** The address of the server that a new connection reaches. */
const reached = () => askTcp({ port: fixture.port });

async function expectRetarget(type: UnixSocketType, path = socketPath()): Promise<void> {
  for (const address of ['127.0.0.3', '127.0.0.2']) {
    expect(await requestReload(type, path, `"${address}"\n`)).toBe('OK');
    expect(await reached()).toBe(address);
  }
}

describe('the reload socket', () => {
  test.for<[string, UnixSocketType, () => object[]]>([
    ['mappings with ranges', 'seqpacket', range],
    ['mappings without', 'stream', single],
    ['mappings of both kinds', 'seqpacket', () => [...single(), ...rangeOfNone()]],
  ])('with %s is of the type %s', async ([, type, mappings]) => {
    await using run = await start(mappings());
    const other = type === 'stream' ? 'seqpacket' : 'stream';
    expect(() => new ReloadClient(other, socketPath())).toThrow('EPROTOTYPE');
    await expectRetarget(type);
    await run.letGo();
  });

  const rangeOfNone = () => [{ range: 0, protocol: 'tcp' }];

  test('exists without ports too, as seqpacket', async () => {
    await using run = await start([]);
    expect(await requestReload('seqpacket', socketPath(), '"127.0.0.1"\n')).toBe('OK');
    await run.letGo();
  });

  test('does not exist if the configuration does not ask for it', async () => {
    await using run = await start(range(), { RootlessCNI: false });
    expect(fixture.caller.files()).toEqual(['rp']);
    await run.letGo();
  });

  test.for([107, 108, 400, 3_000])('may have a path of more than %i bytes', async (length) => {
    let folder = fixture.caller.folder;
    while (folder.length + '/rp/c0ffee'.length <= length) folder = join(folder, 'x'.repeat(90));
    await using run = await start(range(), { TmpDir: folder });
    const path = join(folder, 'rp/c0ffee');
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(statSync(path).isSocket()).toBe(true);
    await expectRetarget('seqpacket', path);
    await run.letGo();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('replaces one that a killed helper left', async () => {
    await using killed = await start(range());
    await killed.kill('SIGKILL');
    expect(statSync(socketPath()).isSocket()).toBe(true);
    await using run = await start(range());
    await expectRetarget('seqpacket');
    await run.letGo();
    expect(fixture.caller.files()).toEqual(['rp']);
  });

  test('replaces a file', async () => {
    mkdirSync(dirname(socketPath()));
    writeFileSync(socketPath(), 'not a socket');
    await using run = await start(range());
    await expectRetarget('seqpacket');
    await run.letGo();
  });

  test('does not replace a folder', async () => {
    mkdirSync(socketPath(), { recursive: true });
    const config = fixture.caller.config(range(), { RootlessCNI: true });
    const text = `bind ${socketPath()}: address already in use`;
    using other = new Caller();
    await expectRefusal(other, config, text, { ports: [fixture.port] });
  });

  test('is not removed at the exit if it is another helper’s by then', async () => {
    await using first = await start([]);
    await using second = await start(range());
    await first.letGo();
    await expectRetarget('seqpacket');
    await second.letGo();
    expect(fixture.caller.files()).toEqual(['rp']);
  });
});

describe('a reload request', () => {
  test.for<[string, string, string]>([
    ['without a line break', '"127.0.0.3"', '127.0.0.3'],
    ['with white space around it', ' \n\t"127.0.0.3" \n', '127.0.0.3'],
    ['with escapes', String.raw`"\u003127.0.0.3"` + '\n', '127.0.0.3'],
    ['for IPv6', '"::1"\n', '::1'],
    ['for an IPv4 address in IPv6 form', '"::ffff:127.0.0.3"\n', '127.0.0.3'],
    ['for no address: the loopback', '""\n', '127.0.0.1'],
    ['of null: the loopback', 'null\n', '127.0.0.1'],
  ])('%s is carried out', async ([, request, address]) => {
    for (const type of ['seqpacket', 'stream'] as const) {
      await using run = await start(type === 'stream' ? single() : range(), {
        ChildIP: '127.0.0.2',
      });
      expect(await reached()).toBe('127.0.0.2');
      expect(await requestReload(type, socketPath(), request)).toBe('OK');
      expect(await reached()).toBe(address);
      await run.letGo();
    }
  });

  test('without an address uses the address that the host listens on, if that is set', async () => {
    const [here, there] = range();
    await using run = await start([{ ...here, host_ip: '127.0.0.3' }, ...(there ? [there] : [])], {
      ChildIP: '127.0.0.2',
    });
    expect(await askTcp({ address: '127.0.0.3', port: fixture.port })).toBe('127.0.0.2');
    expect(await requestReload('seqpacket', socketPath(), '""\n')).toBe('OK');
    expect(await askTcp({ address: '127.0.0.3', port: fixture.port })).toBe('127.0.0.3');
    await run.letGo();
  });

  test('reaches every forward, of both protocols', async () => {
    const ports = [fixture.port, await freePort()];
    const mappings = ports.map((host_port) => ({ ...range()[0], host_port, protocol: 'tcp,udp' }));
    await using run = await start(mappings);
    for (const address of addresses.toReversed()) {
      expect(await requestReload('seqpacket', socketPath(), `"${address}"\n`)).toBe('OK');
      const server = await fixture.container.udp({ address, port: containerPort, echo: true });
      for (const each of ports) {
        expect(await askTcp({ port: each })).toBe(address);
        using client = await UdpSocket.bind();
        expect((await client.ask('hello', each)).data.toString()).toBe('hello');
      }
      expect(await server.seen()).toHaveLength(ports.length);
      await server.close();
    }
    await run.letGo();
  });

  test('that comes in pieces on a stream is read to its end', async () => {
    await using run = await start(single());
    using client = new ReloadClient('stream', socketPath());
    for (const character of ' \n "127.0.0.3"') {
      client.send(character);
      await reached();
    }
    expect(await client.reply()).toBe('OK');
    expect(await reached()).toBe('127.0.0.3');
    await run.letGo();
  });

  const decode = 'rootless port failed to decode ports: ';
  const add = 'rootless port failed to add port: ';
  test.for<[string, string | Uint8Array, string | RegExp]>([
    ['that is no JSON', 'garbage\n', /^rootless port failed to decode ports: .*JSON/],
    ['that is no text', Buffer.from([0, 255, 254, 10, 0, 10]), /^rootless port failed to decode/],
    ['of one character', '{\n', /^rootless port failed to decode ports: /],
    ['of a number', '5\n', `${decode}json: cannot unmarshal number into Go value of type string`],
    [
      'of a list',
      '["::1"]\n',
      `${decode}json: cannot unmarshal array into Go value of type string`,
    ],
    ['of an object', '{}\n', `${decode}json: cannot unmarshal object into Go value of type string`],
    [
      'of a truth value',
      'true\n',
      `${decode}json: cannot unmarshal bool into Go value of type string`,
    ],
    ['for no IP address', '"localhost"\n', `${add}invalid ChildIP: "localhost"`],
    ['for a path', '"../\\n"\n', `${add}invalid ChildIP: "../\\n"`],
    [
      'of 4,000 bytes',
      `"${'ä'.repeat(2_000)}"\n`,
      /^rootless port failed to add port: invalid ChildIP: "ä+$/,
    ],
    ['of 100,000 bytes', `"${'x'.repeat(100_000)}"\n`, /^rootless port failed to decode ports: /],
  ])('%s is answered with the error, in 512 bytes at most', async ([, request, reply]) => {
    for (const type of ['seqpacket', 'stream'] as const) {
      await using run = await start(type === 'stream' ? single() : range(), {
        ChildIP: '127.0.0.2',
      });
      const said = await requestReload(type, socketPath(), request);
      // A stream that is closed before it was read to its end is reset, which may overtake the
      // reply.
      if (type === 'stream' && request.length > 4_096) expect(said).toMatch(/reset$/);
      else if (typeof reply === 'string') expect(said).toBe(reply);
      else expect(said).toMatch(reply);
      expect(said).not.toContain('\n');
      expect(Buffer.byteLength(said.replace(/reset$/, ''))).toBeLessThanOrEqual(512);
      expect(await reached()).toBe('127.0.0.2');
      await expectRetarget(type);
      await run.letGo();
    }
  });
});

test('a packet to the reload socket is a request even if its end is missing', async () => {
  await using run = await start(range());
  const text = /^rootless port failed to decode ports: /;
  for (const request of ['garbage', '"127.0.0.1', ' ']) {
    expect(await requestReload('seqpacket', socketPath(), request)).toMatch(text);
  }
  await run.letGo();
});

describe('a client of the reload socket', () => {
  const types = ['seqpacket', 'stream'] as const;
  const started = (type: UnixSocketType, options: RunOptions = {}) =>
    start(type === 'stream' ? single() : range(), {}, options);

  test.for(types)('that is silent delays nobody, and is disconnected: %s', async (type) => {
    await using run = await started(type);
    const fds = openFds(run.pid);
    const silent = Array.from({ length: 40 }, () => new ReloadClient(type, socketPath()));
    if (type === 'stream') silent.at(-1)?.send('"127');
    const before = performance.now();
    await expectRetarget(type);
    expect(performance.now() - before).toBeLessThan(1_500);
    expect(openFds(run.pid) - fds).toBeLessThan(20);
    for (const client of silent) {
      expect(await client.reply()).toBe('');
      client.close();
    }
    await expectRetarget(type);
    await run.letGo();
  });

  test.for(types)('that disconnects early, at any point, leaves nothing open: %s', async (type) => {
    await using run = await started(type);
    for (let round = 0; round < 50; round++) {
      const client = new ReloadClient(type, socketPath());
      if (round % 3 === 1) client.send('"127.');
      if (round % 3 === 2) client.send('garbage\n');
      client.close();
    }
    await expectRetarget(type);
    await run.letGo();
  });

  test('that sends a mebibyte is disconnected', async () => {
    await using run = await started('stream');
    using client = new ReloadClient('stream', socketPath());
    let sent = 0;
    await until(() => {
      try {
        client.send('x'.repeat(4_096));
        sent += 4_096;
        return sent > MiB;
      } catch (error) {
        return (
          (error as { code?: string }).code === 'EPIPE' ||
          (error as { code?: string }).code === 'ECONNRESET'
        );
      }
    }, 'a mebibyte or the end');
    expect(await client.reply()).toMatch(/^(rootless port failed to decode ports: .*)?(reset)?$/);
    await expectRetarget('stream');
    await run.letGo();
  });

  test('that cannot be accepted yet waits, and the helper does not spin meanwhile', async () => {
    await using run = await start(range());
    const fds = openFds(run.pid);
    const setLimit = (most: number): unknown =>
      execFileSync('prlimit', [`--pid=${run.pid}`, `--nofile=${most}:`]);
    setLimit(3);
    using waiting = new ReloadClient('seqpacket', socketPath());
    waiting.send('"127.0.0.1"\n');
    const before = cpuMs(run.pid);
    await staysTrueFor(500, () => openFds(run.pid) === fds, 'the client waits');
    expect(cpuMs(run.pid) - before).toBeLessThan(100);
    setLimit(1_024);
    expect(await waiting.reply()).toBe('OK');
    await run.letGo();
  });
});

describe('a forward under load', () => {
  test('rejects and cuts no connection during 200 reloads', { timeout: 60_000 }, async () => {
    const echoes: TcpService[] = [];
    for (const address of addresses) {
      echoes.push(
        await fixture.container.tcp({ kind: 'echo' }, { address, port: echoes[0]?.port ?? 0 }),
      );
    }
    const target = echoes[0]?.port ?? 0;
    await using run = await start([{ ...range()[0], container_port: target }]);
    const live = await connectTcp({ port: fixture.port });
    let reloads = 0;
    let connections = 0;
    const load = Array.from({ length: 8 }, async () => {
      while (reloads < 200) {
        expect(await askTcp({ port: fixture.port }, 'hello')).toBe('hello');
        connections += 1;
      }
    });
    const talk = (async () => {
      while (reloads < 200) {
        live.write('still here?');
        expect(await nextText(live)).toBe('still here?');
      }
    })();
    for (; reloads < 200; reloads++) {
      const address = addresses[reloads % addresses.length] ?? '';
      expect(await requestReload('seqpacket', socketPath(), `"${address}"\n`)).toBe('OK');
    }
    await Promise.all([...load, talk]);
    expect(connections).toBeGreaterThan(200);
    live.destroy();
    for (const echo of echoes) expect((await echo.seen()).length).toBeGreaterThan(20);
    await run.letGo();
  });
});
