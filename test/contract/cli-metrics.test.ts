// `spliceport metrics --listen` and `--output`, and Prometheus itself as the client.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { Daemon, freePort } from '../helpers/daemon.js';
import { askTcp } from '../helpers/tcp-client.js';
import { isMissing, type Tool } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { cli, CliRun } from './helpers/cli.js';

const prometheus: Tool = { command: 'prometheus', package: 'prometheus' };
const id = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';

let container: Container;
let folder: string;
/** With a podman that knows one container, web, and counts how often it is asked for names. */
let env: NodeJS.ProcessEnv;
let asked: string;
let named: CliRun;
let other: CliRun;
let hostPort: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-metrics-'));
  container = await Container.start();
  const { port } = await container.tcp({ kind: 'echo' });
  asked = join(folder, 'asked');
  writeFileSync(asked, '');
  const podman = join(folder, 'podman');
  writeFileSync(
    podman,
    `#!/bin/sh
if test "$1" = ps; then echo ps >> ${asked}; echo '${id} web'
else echo '${container.pid} running ${id}'; fi
`,
  );
  chmodSync(podman, 0o755);
  env = { PATH: `${folder}:/usr/bin:/bin` };
  const spec = `127.0.0.1:0:${port}`;
  named = new CliRun(['forward', '--json', spec, '--container', 'web'], { env });
  other = new CliRun([
    'forward',
    '--json',
    spec,
    '127.0.0.1:0:53/udp',
    '--pid',
    `${container.pid}`,
  ]);
  const { forwards } = await named.event('ready');
  await other.event('ready');
  hostPort = forwards[0]?.host.port ?? 0;
});
afterAll(async () => {
  await Promise.all([named, other].map((run) => run[Symbol.asyncDispose]()));
  await container.stop();
  rmSync(folder, { recursive: true });
});

/** An endpoint, and its address as it prints it. */
async function listen(): Promise<CliRun & { readonly url: string }> {
  const run = new CliRun(['metrics', '--listen', '127.0.0.1:0'], { env });
  const [, url = ''] = await run.until(() => /^(http:\S+)\n/.exec(run.stdout), 'its address');
  return Object.assign(run, { url });
}

describe('spliceport metrics --listen', () => {
  test('serves what spliceport metrics prints, anew for each scrape', async () => {
    await using run = await listen();
    const { url } = run;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toBe((await cli(['metrics'], { env })).stdout);
    for (const { pid } of [named, other]) expect(text).toContain(`forwarder="${pid}"`);
    expect(text).toContain(`container_name="web"`);
    await askTcp({ port: hostPort }, 'another session');
    expect(await (await fetch(url)).text()).not.toBe(text);
    expect(await run.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('asks the engine for names only when there is a new container', async () => {
    await using run = await listen();
    const { url } = run;
    writeFileSync(asked, '');
    for (let scrape = 0; scrape < 3; scrape++) await (await fetch(url)).text();
    expect(readFileSync(asked, 'utf8')).toBe('ps\n');
  });

  test('leaves out a forwarder that does not answer, and reports it once', async () => {
    await using stopped = new CliRun(
      ['forward', '--json', '127.0.0.1:0:80', '--pid', `${container.pid}`],
      { env },
    );
    await stopped.event('ready');
    stopped.kill('SIGSTOP');
    await using run = await listen();
    const { url } = run;
    for (let scrape = 0; scrape < 2; scrape++) {
      const text = await (await fetch(url)).text();
      expect(text).toContain(`forwarder="${named.pid}"`);
      expect(text).not.toContain(`forwarder="${stopped.pid}"`);
    }
    expect(run.stderr).toMatch(new RegExp(`^Skipped forwarder ${stopped.pid}: .*\\n$`));
  });

  test('answers other paths and methods', async () => {
    await using run = await listen();
    const { url } = run;
    expect(await (await fetch(new URL('/', url))).text()).toContain('/metrics');
    expect((await fetch(new URL('/other', url))).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    const head = await fetch(url, { method: 'HEAD' });
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(1_000);
  });

  test('names the process that uses its port', async () => {
    await using run = await listen();
    const { url } = run;
    const address = new URL(url).host;
    const outcome = await cli(['metrics', '--listen', address]);
    expect(outcome).toMatchObject({ code: 5, stdout: '' });
    expect(outcome.stderr).toMatch(
      new RegExp(
        `^spliceport: cannot listen on ${address}: the port is in use\nProcess ${run.pid} uses .*\n.*choose another port`,
      ),
    );
  });

  test.each(['9469', ':9469', '127.0.0.1', '127.0.0.1:65536', '::1:9469', 'example.org:9469'])(
    'rejects %s as an address, with one that is valid',
    async (address) => {
      const { code, stderr } = await cli(['metrics', '--listen', address]);
      expect(code).toBe(2);
      expect(stderr).toContain('such as 127.0.0.1:9469');
    },
  );

  test('says what to do about an address that the machine does not have', async () => {
    const { code, stderr } = await cli(['metrics', '--listen', '192.0.2.7:9469']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/does not have the address\n"ip address" lists/);
  });
});

describe('spliceport metrics --output', () => {
  test('replaces the file, and leaves nothing beside it', async () => {
    const place = mkdtempSync(join(folder, 'collector-'));
    const file = join(place, 'spliceport.prom');
    writeFileSync(file, 'old');
    const { code, stdout } = await cli(['metrics', '--output', file], { env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(readFileSync(file, 'utf8')).toMatch(/^# HELP spliceport_build_info/);
    expect(readdirSync(place)).toEqual(['spliceport.prom']);
  });

  test('reports a file that cannot be written', async () => {
    const { code, stderr } = await cli(['metrics', '--output', join(folder, 'no/file')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^spliceport: cannot write .*no\/file: ENOENT/);
  });
});

describe.skipIf(isMissing(prometheus, 'the scrape by Prometheus'))('Prometheus', () => {
  test('finds nothing wrong with the metrics', async () => {
    const { stdout: input } = await cli(['metrics'], { env });
    const options = { input, encoding: 'utf8', stdio: 'pipe' } as const;
    expect(execFileSync('promtool', ['check', 'metrics'], options)).toBe('');
  });

  test('scrapes the metrics of every forwarder, by container, forwarder and forward', async () => {
    await using run = await listen();
    const { url } = run;
    const at = `127.0.0.1:${await freePort()}`;
    await using server = new Daemon(
      [
        'prometheus',
        '--config.file=FILE',
        '--storage.tsdb.path=FOLDER',
        `--web.listen-address=${at}`,
      ],
      `scrape_configs:
  - job_name: spliceport
    scrape_interval: 1s
    static_configs: [{targets: ['${new URL(url).host}']}]`,
    );
    await askTcp({ port: hostPort }, 'one session at least');
    const ask = async (query: string): Promise<{ metric: object; value: [number, string] }[]> => {
      const address = `http://${at}/api/v1/query?query=${encodeURIComponent(query)}`;
      const answer = await fetch(address).catch(() => undefined);
      if (answer?.ok !== true) return [];
      const { data } = (await answer.json()) as {
        data: { result: Awaited<ReturnType<typeof ask>> };
      };
      return data.result;
    };
    const [found] = await until(
      async () => {
        const series = await ask('spliceport_sessions_total{container_name="web"} > 0');
        return series.length > 0 && series;
      },
      `the series of web in Prometheus: ${server.output.slice(-500)}`,
      20_000,
    );
    expect(found?.metric).toMatchObject({
      container: id,
      forwarder: `${named.pid}`,
      forward: '1',
      protocol: 'tcp',
    });
    const forwards = await ask('sum by (forwarder) (spliceport_forwards)');
    expect(forwards.map(({ metric, value }) => ({ ...metric, value: value[1] }))).toEqual(
      expect.arrayContaining([
        { forwarder: `${named.pid}`, value: '1' },
        { forwarder: `${other.pid}`, value: '2' },
      ]),
    );
    expect(await ask('up == 1')).toHaveLength(1);
  });
});
