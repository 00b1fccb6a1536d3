// A container that leaves nothing to decide: its shim starts it and reloads it alone, and no
// process of node's is asked.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TcpService } from '../helpers/container.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { call } from './helpers/control.js';
import { requestReload } from './helpers/reload-client.js';
import { freePort, podmanMapping, Run, shimExecutable, type Outcome } from './helpers/run.js';
import { useShimRuns } from './helpers/use-shim-runs.js';

const fixture = useShimRuns();
/** At an address that only a reload names. */
let elsewhere: TcpService;
let port: number;

beforeAll(async () => {
  elsewhere = await fixture.container.tcp({ kind: 'echo' }, { address: '127.0.0.9' });
});

beforeEach(async () => {
  fixture.runs.withoutSettings();
  port = await freePort();
});

const mapping = (changes: object = {}, service = fixture.echo) =>
  podmanMapping({ host_port: port, container_port: service.port, ...changes });

/** Where control sockets are. */
const controlNames = () => readdirSync(join(fixture.runs.folder, 'control'));

describe('a plain start', () => {
  test('asks no resident, and forwards the ports', async () => {
    await using run = await fixture.runs.start([mapping()], { ChildIP: '127.0.0.1' });
    expect(await askTcp({ port }, 'word')).toBe('word');
    await until(() => controlNames().includes(`${run.pid}.sock`), 'the control socket');
    expect(fixture.runs.residents()).toEqual([]);
    expect(existsSync(fixture.runs.reloadPath())).toBe(true);
  });

  test('is found as one that a resident has started', async () => {
    const mappings = [mapping({ range: 3, protocol: 'tcp,udp' })];
    const facts = async (run: Run) => {
      const control = await fixture.runs.control(run);
      const { pid, uptimeMs: _, ...info } = await control.info();
      expect(pid).toBe(run.pid);
      return { info, forwards: await control.forwards() };
    };
    let alone: unknown;
    {
      await using run = await fixture.runs.start(mappings);
      expect(fixture.runs.residents()).toEqual([]);
      alone = await facts(run);
      await fixture.runs.resident();
    }
    fixture.runs.settings({});
    await using run = await fixture.runs.start(mappings);
    expect(alone).toEqual(await facts(run));
  });

  test('leaves nothing behind at its end', async () => {
    const run = await fixture.runs.start([mapping()], {});
    await until(() => controlNames().includes(`${run.pid}.sock`), 'the control socket');
    expect(await run.letGo()).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(controlNames()).toEqual([]);
    expect(existsSync(fixture.runs.reloadPath())).toBe(false);
    expect(await isRefused({ port })).toBe(true);
  });

  test('removes control sockets of processes that are gone', async () => {
    const folder = join(fixture.runs.folder, 'control');
    const killed = await fixture.runs.start([mapping()]);
    await until(() => controlNames().includes(`${killed.pid}.sock`), 'the control socket');
    await killed.kill('SIGKILL');
    writeFileSync(join(folder, 'notes.sock'), '');
    await using run = await fixture.runs.start([mapping()], { ContainerID: 'other' });
    await until(() => controlNames().includes(`${run.pid}.sock`), 'the control socket');
    expect(controlNames().sort()).toEqual([`${run.pid}.sock`, 'notes.sock'].sort());
  });
});

describe('the resident is asked', () => {
  test.each<[string, () => object]>([
    ['of an unknown key', () => ({ More: 1 })],
    ['of an IPv6 address in another form', () => ({ ChildIP: '::FFFF' })],
    ['of a text with an escape', () => ({ ContainerID: 'a"b', RootlessCNI: false })],
    ['of a container in the host’s own namespace', () => ({ NetNSPath: '/proc/self/ns/net' })],
    [
      'of a folder that something is above of',
      () => ({ TmpDir: join(fixture.runs.caller.folder, 'a/b') }),
    ],
  ])('for the sake %s', async (_, changes) => {
    await using run = await fixture.runs.start([mapping()], changes() as Record<string, unknown>);
    expect(run.stdout).toBe('');
    await fixture.runs.resident();
  });

  test.each<[string, object]>([
    ['a protocol for one family', { protocol: 'tcp4' }],
    ['no ports', { range: 0 }],
    ['the shape of Podman 3', { hostPort: 0 }],
  ])('for %s', async (_, changes) => {
    const { host_port: hostPort, container_port: containerPort } = mapping();
    const old = { hostPort, containerPort, protocol: 'tcp', hostIP: '' };
    await using run = await fixture.runs.start(['hostPort' in changes ? old : mapping(changes)]);
    expect(run.stdout).toBe('');
    await fixture.runs.resident();
  });

  test('for a settings file, even if that says nothing', async () => {
    fixture.runs.settings({});
    await using run = await fixture.runs.start([mapping()]);
    expect(run.stdout).toBe('');
    await fixture.runs.resident();
  });

  test('when there can be no control socket, and knows why', async () => {
    writeFileSync(join(fixture.runs.folder, 'control'), '');
    await using run = await fixture.runs.start([mapping()]);
    expect(run.stdout).toBe('');
    await fixture.runs.resident();
    expect(await askTcp({ port }, 'word')).toBe('word');
    expect(await requestReload('seqpacket', fixture.runs.reloadPath(), 'null')).toBe('OK');
  });
});

describe('what a start fails for in the middle is told, and nothing is left', () => {
  const failed = async (
    changes: Record<string, unknown>,
    ranges = 1,
    options = {},
  ): Promise<Outcome> => {
    const config = fixture.runs.caller.config([mapping({ range: ranges })], {
      RootlessCNI: true,
      ...changes,
    });
    const env = { ...process.env, XDG_RUNTIME_DIR: fixture.runs.folder };
    const run = new Run(config, { command: [shimExecutable], env, ...options });
    const outcome = await run.outcome;
    expect(existsSync(fixture.runs.reloadPath())).toBe(false);
    return outcome;
  };

  test('a port that is taken', async () => {
    const server = createServer().listen(port + 1);
    await once(server, 'listening');
    const { code, stdout } = await failed({}, 2);
    server.close();
    expect(stdout).toBe(`listen tcp 0.0.0.0:${port + 1}: bind: address already in use\n`);
    expect(code).toBe(1);
    expect(await isRefused({ port })).toBe(true);
  });

  test('a namespace that is not there', async () => {
    const { code, stdout } = await failed({ NetNSPath: '/no/such/ns' });
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: 'open /no/such/ns: no such file or directory\n',
    });
  });

  test('a folder where a file is', async () => {
    mkdirSync(fixture.runs.caller.folder, { recursive: true });
    writeFileSync(join(fixture.runs.caller.folder, 'rp'), '');
    const { code, stdout } = await failed({});
    rmSync(join(fixture.runs.caller.folder, 'rp'));
    expect(code).toBe(1);
    expect(stdout).toContain(join(fixture.runs.caller.folder, 'rp'));
  });

  test('a folder in the place of the reload socket', async () => {
    mkdirSync(join(fixture.runs.caller.folder, 'rp/taken/deep'), { recursive: true, mode: 0o700 });
    const { code, stdout } = await failed({ ContainerID: 'taken' });
    rmSync(join(fixture.runs.caller.folder, 'rp/taken'), { recursive: true });
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: `bind ${join(fixture.runs.caller.folder, 'rp/taken')}: address already in use\n`,
    });
    expect(await isRefused({ port })).toBe(true);
  });

  test('an ExitFD that was not passed', async () => {
    const { code, stdout } = await failed({ ExitFD: 77 });
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'invalid ExitFD\n' });
  });
});

describe('a plain reload', () => {
  const reload = (request: string) =>
    requestReload('seqpacket', fixture.runs.reloadPath(), request);

  const isForwarded = async () =>
    (await askTcp({ port }, 'word').catch(() => undefined)) === 'word';

  test('asks no resident', async () => {
    await using run = await fixture.runs.start([mapping({}, elsewhere)]);
    expect(run.stdout).toBe('');
    expect(await isForwarded()).toBe(false);
    expect(await reload('"127.0.0.9"\n')).toBe('OK');
    expect(await isForwarded()).toBe(true);
    expect(await reload('""')).toBe('OK');
    expect(await isForwarded()).toBe(false);
    expect(fixture.runs.residents()).toEqual([]);
  });

  test('is known to the resident that comes later, and holds for ports that are added then', async () => {
    await using run = await fixture.runs.start([mapping()], { ChildIP: '127.0.0.1' });
    expect(await reload('"127.0.0.2"')).toBe('OK');
    const control = await fixture.runs.control(run);
    expect((await control.forwards()).map(({ container }) => container.address)).toEqual([
      '127.0.0.2',
    ]);
    const asked = { proto: 'tcp', parentPort: await freePort(), childPort: 80 };
    expect(await call(control.socketPath, 'POST', '/v1/ports', asked)).toMatchObject({
      status: 201,
    });
    expect((await control.forwards()).at(-1)?.container.address).toBe('127.0.0.2');
  });

  test('goes through a resident that is there, and alone again when that has left', async () => {
    await using run = await fixture.runs.start([mapping()], { ChildIP: '127.0.0.1' });
    await (await fixture.runs.control(run)).forwards();
    expect(await reload('"127.0.0.3"')).toBe('OK');
    const addresses = async () =>
      (await (await fixture.runs.control(run)).forwards()).map(
        ({ container }) => container.address,
      );
    expect(await addresses()).toEqual(['127.0.0.3']);
    await fixture.runs.killResident();
    expect(await reload('"127.0.0.4"')).toBe('OK');
    expect(fixture.runs.residents()).toEqual([]);
    expect(await addresses()).toEqual(['127.0.0.4']);
  });

  test.each(['null', '"10.0.0.1%1"', '"nowhere"', 'word\n'])(
    'is none that says %s: the resident answers',
    async (request) => {
      await using run = await fixture.runs.start([mapping()], { ChildIP: '127.0.0.1' });
      expect(run.stdout).toBe('');
      const answer = await reload(request);
      expect(answer).toMatch(request === 'null' ? /^OK$/ : /^rootless port failed to /);
      await fixture.runs.resident();
    },
  );

  test('that a resident has not answered when it ends is carried out alone', async () => {
    await using run = await fixture.runs.start([mapping({}, elsewhere)]);
    await (await fixture.runs.control(run)).forwards();
    const resident = await fixture.runs.resident();
    process.kill(resident, 'SIGSTOP');
    const answer = reload('"127.0.0.9"');
    process.kill(resident, 'SIGKILL');
    expect(await answer).toBe('OK');
    expect(await isForwarded()).toBe(true);
    await until(() => fixture.runs.residents().length === 0, 'the end of the resident');
  });

  test('cuts no session', async () => {
    await using run = await fixture.runs.start([mapping()], { ChildIP: '127.0.0.1' });
    expect(run.stdout).toBe('');
    const live = await connectTcp({ port });
    live.write('one');
    await nextText(live);
    expect(await reload('"127.0.0.1"')).toBe('OK');
    live.write('two');
    expect(await nextText(live)).toBe('two');
    live.destroy();
  });
});
