// The resident: the one process that decides for all containers of a user. Whatever happens to it,
// containers go on.

import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TcpService } from '../helpers/container.js';
import { isAlive } from '../helpers/process-facts.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { until, within } from '../helpers/wait.js';
import { call } from './helpers/control.js';
import { requestForResident, requestReload } from './helpers/reload-client.js';
import { freePort, podmanMapping } from './helpers/run.js';
import { frame } from './helpers/shim-frames.js';
import { residentName } from './helpers/shim-folder.js';
import { useShimRuns } from './helpers/use-shim-runs.js';

const fixture = useShimRuns();
let whoami: TcpService;

beforeAll(async () => {
  whoami = await fixture.container.tcp({ kind: 'whoami' }, { address: '0.0.0.0' });
});

const mapping = (host_port: number, service = fixture.echo) =>
  podmanMapping({ host_port, container_port: service.port });

describe('a resident that is killed', () => {
  test('cuts no session and refuses no client, and the next one goes on with the container', async () => {
    const port = await freePort();
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    const live = await connectTcp({ port });
    live.write('one');
    await nextText(live);
    const before = await (await fixture.runs.control(run)).stats();

    const first = await fixture.runs.killResident();
    expect(await askTcp({ port }, 'two')).toBe('two');
    live.write('three');
    expect(await nextText(live)).toBe('three');

    const sessions = await (await fixture.runs.control(run)).sessions();
    expect(sessions).toHaveLength(1);
    expect(await fixture.runs.resident()).not.toBe(first);
    const after = await (await fixture.runs.control(run)).stats();
    expect(after.total.sessionsTotal).toBe(before.total.sessionsTotal + 1);
    expect(after.total.bytesToContainer).toBeGreaterThan(before.total.bytesToContainer);
    live.destroy();
  });

  test('right after ready leaves the control socket to the next one, and nobody has to ask', async () => {
    for (let time = 0; time < 5; time++) {
      await using run = await fixture.runs.start([mapping(await freePort())]);
      for (const pid of fixture.runs.residents()) process.kill(pid, 'SIGKILL');
      const control = await fixture.runs.control(run);
      // The name may be that of a socket that ended with its resident, until the next one has made
      // another.
      const forwards = await until(
        () =>
          control.forwards().catch((error: unknown) => {
            if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
          }),
        'a socket that somebody listens at',
      );
      expect(forwards).toHaveLength(1);
    }
  });

  test('loses no reload: the next one carries it out', async () => {
    const port = await freePort();
    await using run = await fixture.runs.start([mapping(port, whoami)], { ChildIP: '127.0.0.1' });
    expect(await askTcp({ port }, '')).toMatch(/^127\.0\.0\.1 /);
    await fixture.runs.killResident();
    expect(
      await requestReload('seqpacket', fixture.runs.reloadPath(), requestForResident('127.0.0.2')),
    ).toBe('OK');
    const [forward] = await (await fixture.runs.control(run)).forwards();
    expect(forward?.container.address).toBe('127.0.0.2');
  });

  test('leaves ports that are added and removed through the next one', async () => {
    const [port, more] = [await freePort(), await freePort()];
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    const control = await fixture.runs.control(run);
    expect(await control.forwards()).toHaveLength(1);
    await fixture.runs.killResident();
    const added = await control.add([`127.0.0.1:${more}:${fixture.echo.port}`]);
    expect(added).toMatchObject([{ id: 2, host: { port: more } }]);
    expect(await askTcp({ port: more }, 'more')).toBe('more');
    await fixture.runs.killResident();
    await control.remove(1);
    expect(await isRefused({ port })).toBe(true);
    expect((await control.forwards()).map(({ id }) => id)).toEqual([2]);
  });

  test('is followed by one that knows the container’s address and its notices', async () => {
    const [port, more] = [await freePort(), await freePort()];
    fixture.runs.settings({ sourceAddress: 'nobody' });
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    expect(
      await requestReload('seqpacket', fixture.runs.reloadPath(), requestForResident('127.0.0.5')),
    ).toBe('OK');
    const { notices } = await (await fixture.runs.control(run)).info();
    expect(notices).toEqual([expect.stringContaining('sourceAddress')]);
    await fixture.runs.killResident();
    const info = await (await fixture.runs.control(run)).info();
    expect(info).toMatchObject({ pid: run.pid, program: 'rootlessport', notices });
    const asked = { proto: 'tcp', parentPort: more, childPort: 80 };
    const { socketPath } = await fixture.runs.control(run);
    expect(await call(socketPath, 'POST', '/v1/ports', asked)).toMatchObject({ status: 201 });
    const added = (await (await fixture.runs.control(run)).forwards()).at(-1);
    expect(added?.container).toEqual({ address: '127.0.0.5', port: 80 });
  });
});

describe('a resident', () => {
  test('serves containers that start at the same time, and is one', async () => {
    const ports = await Promise.all(Array.from({ length: 6 }, freePort));
    const started = await Promise.all(
      ports.map((port, index) =>
        fixture.runs.start([mapping(port)], { ContainerID: `c${index}`, ChildIP: '127.0.0.1' }),
      ),
    );
    for (const port of ports) expect(await askTcp({ port }, 'here')).toBe('here');
    expect(fixture.runs.residents()).toHaveLength(1);
    await Promise.all(started.map((run) => run.letGo()));
    for (const port of ports) expect(await isRefused({ port })).toBe(true);
  });

  test('leaves when there is nothing to do, and comes when somebody asks', async () => {
    fixture.runs.settings({ residentLingerSeconds: 0 });
    const port = await freePort();
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    const first = await fixture.runs.resident();
    await until(() => !isAlive(first), 'the end of the first');
    expect(await askTcp({ port }, 'alone')).toBe('alone');
    expect(await (await fixture.runs.control(run)).forwards()).toHaveLength(1);
    const second = await fixture.runs.resident();
    await until(() => !isAlive(second), 'the end of the second');
    expect(
      await requestReload('seqpacket', fixture.runs.reloadPath(), requestForResident('127.0.0.1')),
    ).toBe('OK');
  });

  test('stays for a log, and comes back for it by itself', async () => {
    const log = join(fixture.runs.folder, 'log');
    fixture.runs.settings({
      residentLingerSeconds: 0,
      log: { destination: log, sessions: true, summaryIntervalMs: 100 },
    });
    const port = await freePort();
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    const ended = () => readFileSync(log, 'utf8').split('"event":"session"').length - 1;
    await askTcp({ port }, 'one');
    await until(() => ended() === 1, 'the line of the first session');
    const first = await fixture.runs.killResident();
    await askTcp({ port }, 'two');
    await until(() => ended() === 2, 'the line of the second session', 10_000);
    expect(await fixture.runs.resident()).not.toBe(first);
    await run.letGo();
    await until(() => readFileSync(log, 'utf8').includes('"event":"closed"'), 'the last line');
  });

  test('leaves once the last container with a log is gone', async () => {
    const log = join(fixture.runs.folder, 'log');
    fixture.runs.settings({ residentLingerSeconds: 0, log: { destination: log } });
    await using run = await fixture.runs.start([mapping(await freePort())]);
    const pid = await fixture.runs.resident();
    await run.letGo();
    await until(() => !isAlive(pid), 'the end of the resident');
  });

  test('goes on with the others when a container stands still', async () => {
    const [port, other] = [await freePort(), await freePort()];
    await using still = await fixture.runs.start([mapping(port)], { ContainerID: 'still' });
    await using run = await fixture.runs.start([mapping(other)], { ChildIP: '127.0.0.1' });
    await (await fixture.runs.control(still)).stats();
    process.kill(still.pid, 'SIGSTOP');
    try {
      const startMs = performance.now();
      expect(
        await requestReload(
          'seqpacket',
          fixture.runs.reloadPath(),
          requestForResident('127.0.0.1'),
        ),
      ).toBe('OK');
      await (await fixture.runs.control(run)).stats();
      await using third = await fixture.runs.start([mapping(await freePort())], {
        ContainerID: 'third',
      });
      expect(isAlive(third.pid)).toBe(true);
      expect(performance.now() - startMs).toBeLessThan(5_000);
    } finally {
      process.kill(still.pid, 'SIGCONT');
    }
    await (await fixture.runs.control(still)).stats();
  });

  test('goes on with the others when a container’s shim talks nonsense', async () => {
    const port = await freePort();
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    const pid = await fixture.runs.resident();
    const path = join(fixture.runs.folder, 'spliceport-resident', residentName());
    for (const nonsense of [frame('H'), frame('k', Buffer.alloc(3)), Buffer.alloc(9, 0xff)]) {
      const socket = createConnection(path);
      socket.on('error', () => undefined).resume();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(nonsense);
      await within(closed, 'the end of the connection');
    }
    expect(
      await requestReload('seqpacket', fixture.runs.reloadPath(), requestForResident('127.0.0.1')),
    ).toBe('OK');
    await (await fixture.runs.control(run)).stats();
    expect(await fixture.runs.resident()).toBe(pid);
  });

  test('leaves a container to a process of its own where its settings say so', async () => {
    fixture.runs.settings({ process: 'own' });
    const port = await freePort();
    await using run = await fixture.runs.start([mapping(port)], { ChildIP: '127.0.0.1' });
    expect(await askTcp({ port }, 'own')).toBe('own');
    expect(readFileSync(`/proc/${run.pid}/cmdline`, 'utf8')).toContain('lib/engines/podman.cjs');
  });
});
