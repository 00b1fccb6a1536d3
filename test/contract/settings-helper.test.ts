// Settings files in the helper: what they change, and that none of them stops a container.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Forward, ForwarderInfo } from '../../src/control/control-types.js';
import { askTcp, isRefused, isServed } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { cli } from './helpers/cli.js';
import { call } from './helpers/control.js';
import { requestReload } from './helpers/reload-client.js';
import { freePort, freePorts, Run, type PodmanMapping } from './helpers/run.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();

const mapping = (overrides: PodmanMapping = {}): PodmanMapping =>
  fixture.mapping({ host_ip: '127.0.0.1', ...overrides });

/** Writes the file; text as it is. */
function write(content: string | object, name = 'settings.json'): string {
  const path = join(fixture.caller.folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const control = () => join(fixture.caller.folder, 'control');

function start(
  settingsPath: string | undefined,
  config: object = fixture.caller.config([mapping()]),
  env: NodeJS.ProcessEnv = {},
): Run {
  return new Run(config, {
    env: {
      ...process.env,
      SPLICEPORT_CONTROL_DIR: control(),
      ...(settingsPath !== undefined && { SPLICEPORT_CONFIG: settingsPath }),
      ...env,
    },
  });
}

/** Asks the helper itself. */
async function ask<T>(run: Run, path: string): Promise<T> {
  const socketPath = join(control(), `${run.pid}.sock`);
  await until(() => existsSync(socketPath), 'the control socket');
  return (await call(socketPath, 'GET', path)).json as T;
}

const noticesOf = async (run: Run) => (await ask<ForwarderInfo>(run, '/v1/forwarder')).notices;

describe('an invalid settings file', () => {
  test.each<[string, string | object, RegExp]>([
    [
      'a wrong value',
      '{\n "defaults": {"workers": "many"}\n}',
      /settings\.json:2:26: defaults\.workers: expected an integer from 1 to 64, not "many"$/,
    ],
    [
      'no JSON',
      '{ defaults: 1 }',
      /settings\.json:1:3: not JSON: expected a value, or a key in double quotes$/,
    ],
    ['an unknown key', { default: {} }, /settings\.json:1:2: default: unknown; expected one of/],
  ])('with %s does not stop a container, and is reported', async (_, content, notice) => {
    await using run = start(write(content));
    await run.ready();
    expect(await askTcp({ port: fixture.port }, 'through')).toBe('through');
    expect(await noticesOf(run)).toEqual([expect.stringMatching(notice)]);
    const { stderr: listed } = await cli(['ls'], { env: { SPLICEPORT_CONTROL_DIR: control() } });
    expect(listed.trimEnd()).toMatch(notice);
    expect(listed).toMatch(new RegExp(`^${run.pid}: settings file `));
    const { stderr } = await run.letGo();
    expect(stderr.trimEnd()).toMatch(notice);
    expect(stderr).toMatch(/^spliceport: settings file [^\n]*\n$/);
  });

  test.each(['missing', 'a folder', 'a pipe'])(
    'that is %s does not stop a container, and is reported',
    async (kind) => {
      const path = join(fixture.caller.folder, 'odd');
      if (kind === 'a folder') mkdirSync(path);
      if (kind === 'a pipe') execFileSync('mkfifo', [path]);
      await using run = start(path);
      await run.ready();
      expect(await noticesOf(run)).toEqual([expect.stringMatching(/odd: cannot be read: /)]);
    },
  );

  test('still rejects the clients that its deny list rejects', async () => {
    await using run = start(write({ defaults: { workers: 'two', deny: ['127.0.0.0/8'] } }));
    await run.ready();
    expect(await isServed({ port: fixture.port })).toBe(false);
    expect(await noticesOf(run)).toEqual([expect.stringMatching(/defaults\.workers: expected /)]);
  });

  test.each<[string, string | object]>([
    ['a block that is none', { defaults: { deny: ['127.0.0.0/08'] } }],
    ['an allow list in what is no JSON', '{ defaults: { allow: ["127.0.0.1"] } }'],
  ])('with %s opens no port, and is reported', async (_, content) => {
    await using run = start(write(content));
    const { code, stdout, stderr } = await run.outcome;
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(
      /^settings file .*settings\.json:1:\d+: .*; ports do not open without [^\n]*\n$/,
    );
    expect(await isRefused({ port: fixture.port })).toBe(true);
  });

  test('does not hide an invalid configuration', async () => {
    await using run = start(write('{'), fixture.caller.config([mapping({ protocol: 'frob' })]));
    const { code, stdout } = await run.outcome;
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'unknown proto: "frob"\n' });
  });
});

describe('a settings file', () => {
  test('in the user’s folder applies to every container', async () => {
    mkdirSync(join(fixture.caller.folder, 'spliceport'));
    write({ defaults: { sourceAddress: 'proxy-v2' } }, 'spliceport/config.json');
    await using run = start(undefined, undefined, {
      SPLICEPORT_CONFIG: '',
      XDG_CONFIG_HOME: fixture.caller.folder,
    });
    await run.ready();
    const forwards = await ask<Forward[]>(run, '/v1/forwards');
    expect(forwards.map(({ sourceAddress }) => sourceAddress)).toEqual(['proxy-v2']);
    expect(await noticesOf(run)).toEqual([]);
    expect((await run.letGo()).stderr).toBe('');
  });

  test('can have rules for single ports of a published range', async () => {
    fixture.port = await freePorts(3);
    const rules = [
      {
        match: { hostPort: fixture.port + 1, protocol: 'tcp' },
        set: { sourceAddress: 'proxy-v1' },
      },
      { match: { containerId: 'beef' }, set: { sourceAddress: 'proxy-v2' } },
    ];
    await using run = start(write({ rules }), fixture.caller.config([mapping({ range: 3 })]));
    await run.ready();
    const forwards = await ask<Forward[]>(run, '/v1/forwards');
    expect(
      forwards.map((forward) => [forward.host.port, forward.container.port, forward.sourceAddress]),
    ).toEqual([
      [fixture.port, fixture.echo.port, 'container'],
      [fixture.port + 1, fixture.echo.port + 1, 'proxy-v1'],
      [fixture.port + 2, fixture.echo.port + 2, 'container'],
    ]);
  });

  test('rejects clients by their address', async () => {
    await using run = start(write({ defaults: { deny: ['127.0.0.0/8'] } }));
    await run.ready();
    expect(await isServed({ port: fixture.port })).toBe(false);
  });

  test('can turn the control socket off for one container', async () => {
    const rules = [{ match: { containerId: 'c0ff' }, set: { controlSocket: false } }];
    await using run = start(write({ rules }));
    await run.ready();
    expect(await askTcp({ port: fixture.port }, 'through')).toBe('through');
    await using other = start(
      write({ rules }),
      fixture.caller.config([mapping({ host_port: await freePort() })], { ContainerID: 'beef' }),
    );
    await other.ready();
    await until(() => existsSync(join(control(), `${other.pid}.sock`)), 'the other one’s');
    expect(existsSync(join(control(), `${run.pid}.sock`))).toBe(false);
  });

  // By itself, the helper takes seqpacket for mappings with ranges, and stream for those without.
  const single = () => ({
    hostIP: '',
    hostPort: fixture.port,
    containerPort: fixture.echo.port,
    protocol: 'tcp',
  });
  test.each([
    ['stream', mapping],
    ['seqpacket', single],
  ] as const)('sets the type of the reload socket: %s', async (reloadSocket, ported) => {
    const path = write({ defaults: { reloadSocket } });
    await using run = start(path, fixture.caller.config([ported()], { RootlessCNI: true }));
    await run.ready();
    const socket = join(fixture.caller.folder, 'rp', 'c0ffee');
    expect(statSync(socket).isSocket()).toBe(true);
    expect(await requestReload(reloadSocket, socket, '"127.0.0.1"\n')).toBe('OK');
  });

  test('does not hide that the namespace is gone', async () => {
    const config = fixture.caller.config([mapping()], { NetNSPath: '/proc/self/nowhere' });
    await using run = start(write({ defaults: { sourceAddress: 'transparent' } }), config);
    const { code, stdout, stderr } = await run.outcome;
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/nowhere/);
  });
});
